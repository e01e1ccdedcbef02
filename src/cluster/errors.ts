// The two ways a request to the API fails: the API answered no (ApiError), or there is no answer that could be used for
// one (ApiUnreachable). See "Response Status Kind" in the Kubernetes API conventions.
import { messageOf } from '#/lib/log.ts'
import { fieldsOf } from '#/model/kubernetes.ts'

/** The API answered with an error status. */
export class ApiError extends Error {
  override name = 'ApiError'
  /** HTTP status code. */
  readonly code: number
  /** Status.reason, such as "NotFound", "AlreadyExists", "Conflict", "Expired"; "InvalidResponse" for a garbled answer. */
  readonly reason: string
  /** What the server says besides, in one line; '' when it says nothing. */
  readonly detail: string
  /** How long the server asks to wait, if it does. */
  readonly retryAfterMs: number | undefined

  constructor(
    what: string,
    options: { code: number; reason: string; detail: string; retryAfterMs?: number | undefined },
  ) {
    const { code, reason, detail } = options
    super(`${what}: ${[code, reason].join(' ')}${detail === '' ? '' : `: ${detail}`}`)
    this.code = code
    this.reason = reason
    this.detail = detail
    this.retryAfterMs = options.retryAfterMs
  }
}

/** There was no usable connection: refused, reset, timed out, TLS failure, no credentials. The cause has the system's message. */
export class ApiUnreachable extends Error {
  override name = 'ApiUnreachable'

  constructor(what: string, cause: unknown) {
    const hint = hintFor(cause)
    super(hint === undefined ? `${what} failed` : `${what} failed (${hint})`, { cause })
  }
}

const hints: Readonly<Record<string, string>> = {
  ECONNRESET: 'the connection broke off',
  ETIMEDOUT: 'the server does not answer: is it up, and does the network let packets through to it and back?',
  ECONNREFUSED: 'nothing listens there: is the API server up?',
  ENOTFOUND: 'the name of the server does not resolve: check the server address and DNS',
  EAI_AGAIN: 'the name of the server does not resolve now: check DNS',
  ENETUNREACH: 'no route to the API server: check the routes of this node',
  EHOSTUNREACH: 'no route to the API server: check the routes of this node',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'check certificate-authority in the kubeconfig',
  SELF_SIGNED_CERT_IN_CHAIN: 'check certificate-authority in the kubeconfig',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'check certificate-authority in the kubeconfig',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'check certificate-authority in the kubeconfig',
  CERT_HAS_EXPIRED: "renew the server's certificate or check this machine's clock",
  CERT_NOT_YET_VALID: "check this machine's clock",
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is for another name: check server and tls-server-name',
}

function hintFor(cause: unknown): string | undefined {
  const code = fieldsOf(cause)['code']
  return typeof code === 'string' ? hints[code] : undefined
}

/** Whether the error is an answer of the API with this HTTP status. */
export function isApiError(error: unknown, code: number): error is ApiError {
  return error instanceof ApiError && error.code === code
}

/** What a proxy answers when no API server stands behind it, and an API server that is not ready. */
const awayCodes = [502, 503, 504]

/** Whether nobody answered who could have: the API cannot be reached, or only something before it can. */
export function isUnanswered(error: unknown): boolean {
  if (error instanceof ApiError) return awayCodes.includes(error.code) && error.retryAfterMs === undefined
  return error instanceof ApiUnreachable
}

/** The error of a non-2xx answer: from the Status object in its body, or from whatever else is there. */
export function apiErrorFrom(
  what: string,
  code: number,
  headers: { 'retry-after'?: string | undefined },
  body: string,
): ApiError {
  const status = statusOf(body)
  return new ApiError(what, {
    code,
    reason: status.reason || httpReasons[code] || 'Unknown',
    detail: status.message || oneLine(body),
    retryAfterMs: retryAfterMsOf(headers['retry-after'], status.retryAfterSeconds),
  })
}

const httpReasons: Readonly<Record<number, string>> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Gone',
  429: 'TooManyRequests',
  500: 'InternalError',
  502: 'BadGateway',
  503: 'ServiceUnavailable',
  504: 'Timeout',
}

function statusOf(body: string): { reason: string; message: string; retryAfterSeconds: unknown } {
  let parsed: unknown
  try {
    parsed = JSON.parse(body)
  } catch {
    parsed = undefined
  }
  const fields = fieldsOf(parsed)
  const { reason, message } = fields
  return {
    reason: typeof reason === 'string' ? oneLine(reason) : '',
    message: typeof message === 'string' ? oneLine(message) : '',
    retryAfterSeconds: fieldsOf(fields['details'])['retryAfterSeconds'],
  }
}

/** Reads Retry-After (RFC 9110 section 10.2.3); API servers do not use its date form, which counts as one second. */
function retryAfterMsOf(header: string | undefined, retryAfterSeconds: unknown): number | undefined {
  if (header !== undefined) return /^\d{1,6}$/.test(header) ? Number(header) * 1000 : 1000
  const seconds = Number.isSafeInteger(retryAfterSeconds) ? Number(retryAfterSeconds) : 0
  return seconds > 0 ? seconds * 1000 : undefined
}

/** Makes foreign text fit for a log line: one line, no control characters, a bounded length. */
export function oneLine(text: string, maxChars = 300): string {
  const flat = text
    .slice(0, 2 * maxChars)
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim()
  return flat.length > maxChars ? `${flat.slice(0, maxChars)}…` : flat
}

/** Any error as one line for a status. */
export function describe(error: unknown): string {
  return oneLine(messageOf(error))
}
