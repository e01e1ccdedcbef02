// Failures as clients see them: HTTP codes with a metav1.Status body, in the words of kube-apiserver
// (staging/src/k8s.io/apimachinery/pkg/api/errors), because clients and people match on them.
import type { JsonObject } from './json.ts'

export type CauseReason =
  | 'FieldValueRequired'
  | 'FieldValueInvalid'
  | 'FieldValueNotSupported'
  | 'FieldValueForbidden'
  | 'FieldValueDuplicate'
  | 'FieldValueTypeInvalid'
  | 'FieldValueTooLong'
  | 'FieldValueTooMany'
  | 'FieldManagerConflict'
  | 'ResourceVersionTooLarge'

export type Cause = { readonly reason: CauseReason; readonly message: string; readonly field?: string }

export type Subject = { readonly group: string; readonly resource: string; readonly kind: string }

type Details = {
  readonly name?: string
  readonly group?: string
  readonly kind?: string
  readonly uid?: string
  readonly causes?: readonly Cause[]
  readonly retryAfterSeconds?: number
}

/** A refusal with its HTTP code and Status reason. */
export class ApiError extends Error {
  override name = 'ApiError'
  readonly code: number
  readonly reason: string
  readonly details: Details | undefined

  constructor(code: number, reason: string, message: string, details?: Details) {
    super(message)
    this.code = code
    this.reason = reason
    this.details = details
  }

  toStatus(): JsonObject {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      reason: this.reason,
      ...(this.details === undefined ? {} : { details: this.details }),
      code: this.code,
    }
  }
}

/** The name as messages have it: "nodes" or "leases.coordination.k8s.io". */
export function qualified(subject: { readonly group: string; readonly resource: string }): string {
  return subject.group === '' ? subject.resource : `${subject.resource}.${subject.group}`
}

function about(subject: Subject, name: string): Details {
  return { name, ...(subject.group === '' ? {} : { group: subject.group }), kind: subject.resource }
}

export const badRequest = (message: string): ApiError => new ApiError(400, 'BadRequest', message)

export const unauthorized = (): ApiError => new ApiError(401, 'Unauthorized', 'Unauthorized')

export const forbidden = (subject: Subject, name: string, why: string): ApiError =>
  new ApiError(403, 'Forbidden', `${qualified(subject)} "${name}" is forbidden: ${why}`, about(subject, name))

/** The error for a path that the server does not have, as opposed to a missing object. */
export const noSuchPath = (): ApiError =>
  new ApiError(404, 'NotFound', 'the server could not find the requested resource', {})

export const notFound = (subject: Subject, name: string): ApiError =>
  new ApiError(404, 'NotFound', `${qualified(subject)} "${name}" not found`, about(subject, name))

export const methodNotAllowed = (): ApiError =>
  new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {})

export const notAcceptable = (types: readonly string[]): ApiError =>
  new ApiError(406, 'NotAcceptable', `only the following media types are accepted: ${types.join(', ')}`)

export const alreadyExists = (subject: Subject, name: string): ApiError =>
  new ApiError(409, 'AlreadyExists', `${qualified(subject)} "${name}" already exists`, about(subject, name))

export const conflict = (subject: Subject, name: string, why: string): ApiError =>
  new ApiError(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualified(subject)} "${name}": ${why}`,
    about(subject, name),
  )

export const modifiedMeanwhile = (subject: Subject, name: string): ApiError =>
  conflict(subject, name, 'the object has been modified; please apply your changes to the latest version and try again')

export const expired = (message: string): ApiError => new ApiError(410, 'Expired', message)

export const tooLarge = (limitBytes: number): ApiError =>
  new ApiError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${limitBytes}`)

export const unsupportedMediaType = (types: readonly string[]): ApiError =>
  new ApiError(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${types.join(', ')}`,
  )

/** A 422 with one cause per wrong field; `name` may be empty when the object has none yet. */
export function invalid(subject: Subject, name: string, causes: readonly Cause[]): ApiError {
  const lines = causes.map(({ field, message }) => (field === undefined ? message : `${field}: ${message}`))
  const all = lines.length === 1 ? lines[0]! : `[${lines.join(', ')}]`
  const kind = subject.group === '' ? subject.kind : `${subject.kind}.${subject.group}`
  return new ApiError(422, 'Invalid', `${kind} "${name}" is invalid: ${all}`, {
    name,
    ...(subject.group === '' ? {} : { group: subject.group }),
    kind: subject.kind,
    causes,
  })
}

export const internalError = (message: string): ApiError =>
  new ApiError(500, 'InternalError', `Internal error occurred: ${message}`, {})

const shown = (value: unknown): string =>
  typeof value === 'string' ? JSON.stringify(value) : (JSON.stringify(value) ?? 'null')

/** Causes in the words of apimachinery's validation/field package. */
export const required = (field: string, hint = ''): Cause => ({
  reason: 'FieldValueRequired',
  message: `Required value${hint && `: ${hint}`}`,
  field,
})
export const invalidValue = (field: string, value: unknown, why: string): Cause => ({
  reason: 'FieldValueInvalid',
  message: `Invalid value: ${shown(value)}: ${why}`,
  field,
})
export const forbiddenField = (field: string, why: string): Cause => ({
  reason: 'FieldValueForbidden',
  message: `Forbidden: ${why}`,
  field,
})
export const unsupported = (field: string, value: unknown, allowed: readonly unknown[]): Cause => ({
  reason: 'FieldValueNotSupported',
  message: `Unsupported value: ${shown(value)}: supported values: ${allowed.map(shown).join(', ')}`,
  field,
})
export const tooMany = (field: string, count: number, limit: number): Cause => ({
  reason: 'FieldValueTooMany',
  message: `Too many: ${count}: must have at most ${limit} ${limit === 1 ? 'item' : 'items'}`,
  field,
})
export const duplicate = (field: string, value: unknown): Cause => ({
  reason: 'FieldValueDuplicate',
  message: `Duplicate value: ${shown(value)}`,
  field,
})
