// Requests to a Kubernetes API server: verbs, retries, limits and errors on top of the transport.
// It works against any API server; see docs/cluster-client.md for what it does where and why.
import type { IncomingMessage } from 'node:http'
import type { WebSocket } from 'ws'
import { isFields, isKubeObject, type KubeObject } from '#/model/kubernetes.ts'
import { Backoff } from './backoff.ts'
import { type Clock, Deadline, sleep, systemClock } from './clock.ts'
import type { ServerConfig } from './config.ts'
import { ApiError, apiErrorFrom, ApiUnreachable, isApiError, isUnanswered } from './errors.ts'
import { Outage } from './outage.ts'
import type { Credential } from './credentials.ts'
import { StaleConnection, type Transport } from './transport.ts'

export type RequestOptions = {
  readonly signal?: AbortSignal
  readonly query?: Readonly<Record<string, string>>
  /** Limit for the whole request, retries and waits between them included. Default 30 s. */
  readonly timeoutMs?: number
}

export type PatchType = 'merge' | 'json' | 'strategic' | 'apply'

export type ListOptions<T extends KubeObject = KubeObject> = RequestOptions & {
  readonly labelSelector?: string
  readonly fieldSelector?: string
  /** Objects per page; default 500, as kubectl. */
  readonly pageSize?: number
  /** Applied to each object while its page is read, so that a long list is never whole in memory; default: all of it. */
  readonly keep?: (object: T) => T
}

export type KubeList<T extends KubeObject> = {
  readonly items: readonly T[]
  /** The version of the whole list; a watch continues from it. */
  readonly resourceVersion: string
}

type Call = RequestOptions & {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly body?: unknown
  readonly contentType?: string
}

const userAgent = 'causeway'
const defaultTimeoutMs = 30_000
const defaultPageSize = 500
const maxAttempts = 5
const maxAnswerBytes = 256 << 20
const maxErrorBytes = 1 << 20

const patchContentTypes: Readonly<Record<PatchType, string>> = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  // a server-side apply body is YAML, and JSON is YAML
  apply: 'application/apply-patch+yaml',
}

export class ApiClient implements AsyncDisposable {
  readonly server: string
  /** Whether the API answers the requests of this client, and when to ask again when it does not. */
  readonly outage: Outage
  readonly #transport: Transport
  readonly #clock: Clock
  readonly #random: () => number

  constructor(config: ServerConfig, deps: { transport: Transport; clock?: Clock; random?: () => number }) {
    this.server = config.server.href.replace(/\/$/, '')
    this.#transport = deps.transport
    this.#clock = deps.clock ?? systemClock
    this.#random = deps.random ?? Math.random
    this.outage = new Outage({ clock: this.#clock, random: this.#random })
  }

  /** `T` is the type that the caller expects; the object's fields are unchecked until a reader of the model reads them. */
  get<T extends KubeObject>(path: string, options: RequestOptions = {}): Promise<T> {
    return this.#object({ ...options, method: 'GET', path })
  }

  create<T extends KubeObject>(path: string, body: unknown, options: RequestOptions = {}): Promise<T> {
    return this.#object({ ...options, method: 'POST', path, body })
  }

  /** Posts to a subresource that is an action, such as the binding of a pod. The answer, a Status, is dropped. */
  async act(path: string, body: unknown, options: RequestOptions = {}): Promise<void> {
    await this.#text({ ...options, method: 'POST', path, body })
  }

  /** With metadata.resourceVersion in the body, a concurrent change gives a 409 instead of being overwritten. */
  replace<T extends KubeObject>(path: string, body: unknown, options: RequestOptions = {}): Promise<T> {
    return this.#object({ ...options, method: 'PUT', path, body })
  }

  /** `query` takes fieldManager, force and dryRun. */
  patch<T extends KubeObject>(
    path: string,
    body: unknown,
    type: PatchType,
    query: Readonly<Record<string, string>> = {},
    options: RequestOptions = {},
  ): Promise<T> {
    const all = { ...options.query, ...query }
    return this.#object({ ...options, query: all, method: 'PATCH', path, body, contentType: patchContentTypes[type] })
  }

  /** Deletes an object. The answer, a Status or the object's last state, is dropped. */
  async delete(path: string, options: RequestOptions & { readonly body?: unknown } = {}): Promise<void> {
    await this.#text({ ...options, method: 'DELETE', path })
  }

  /** Reads all objects of a collection at one version, page by page. `timeoutMs` is for each page. */
  async list<T extends KubeObject>(path: string, options: ListOptions<T> = {}): Promise<KubeList<T>> {
    const { pageSize = defaultPageSize } = options
    try {
      return await this.#listPages<T>(path, options, pageSize)
    } catch (error) {
      // A continue token dies with etcd's compaction (410). Start over once; if paging is slower than compaction, only one
      // big page can succeed.
      if (!isApiError(error, 410)) throw error
    }
    try {
      return await this.#listPages<T>(path, options, pageSize)
    } catch (error) {
      if (!isApiError(error, 410)) throw error
    }
    return this.#listPages<T>(path, options, 0)
  }

  /**
   * Opens a watch and gives its body once the server has accepted it. `options.timeoutMs` ends with that; the body runs
   * until either side ends it.
   */
  async watch(path: string, options: RequestOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    const call: Call = { ...options, method: 'GET', path, query: { ...options.query, watch: 'true' } }
    const what = this.#name(call)
    const life = new AbortController()
    const { signal } = options
    const end = (): void => life.abort(signal?.reason)
    if (signal?.aborted === true) end()
    signal?.addEventListener('abort', end)
    using deadline = new Deadline(this.#clock, options.timeoutMs ?? defaultTimeoutMs, life.signal)
    deadline.signal.addEventListener('abort', () => life.abort(deadline.signal.reason))
    try {
      const response = await this.#attempt(call, 'own', life.signal)
      this.outage.answered()
      return bodyOf(response, () => signal?.removeEventListener('abort', end))
    } catch (error) {
      signal?.removeEventListener('abort', end)
      throw this.#failure(what, error, deadline, signal)
    }
  }

  /**
   * Opens a WebSocket to a subresource, such as the exec of a pod; `path` has its query. Resolves, with the socket paused, when the server has
   * agreed to one of the protocols. `timeoutMs` ends with that. Rejects with ApiError when the server answers otherwise.
   */
  async webSocket(
    path: string,
    options: Omit<RequestOptions, 'query'> & { readonly protocols: readonly string[] },
  ): Promise<WebSocket> {
    const call: Call = { ...options, method: 'GET', path }
    const open = (signal: AbortSignal): Promise<WebSocket> => this.#upgrade(call, options.protocols, signal)
    return this.#bounded(call, open)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#transport.close()
    await Promise.resolve()
  }

  async #object<T extends KubeObject>(call: Call): Promise<T> {
    const value = await this.#json(call)
    if (!isKubeObject(value)) throw invalid(this.#name(call), 'the answer is no Kubernetes object')
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- typed but unread, as said at `get`
    return value as T
  }

  async #listPages<T extends KubeObject>(
    path: string,
    options: ListOptions<T>,
    pageSize: number,
  ): Promise<KubeList<T>> {
    const items: T[] = []
    const { keep = (item: T) => item } = options
    let continueToken = ''
    for (;;) {
      const query = listQuery(options, pageSize, continueToken)
      const call: Call = { ...options, method: 'GET', path, query }
      const page = readList(await this.#json(call), () => this.#name(call))
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- typed but unread, as said at `get`
      for (const item of page.items) items.push(keep(item as T))
      continueToken = page.continueToken
      if (continueToken === '') return { items, resourceVersion: page.resourceVersion }
    }
  }

  async #json(call: Call): Promise<unknown> {
    return parseAnswer(this.#name(call), await this.#text(call))
  }

  async #text(call: Call): Promise<string> {
    return this.#bounded(call, async (signal) => readBody(await this.#attempt(call, 'shared', signal), maxAnswerBytes))
  }

  /** Makes a call and repeats it where that is allowed; bounds its time and makes typed errors. */
  async #bounded<T>(call: Call, once: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const timeoutMs = call.timeoutMs ?? defaultTimeoutMs
    using deadline = new Deadline(this.#clock, timeoutMs, call.signal)
    try {
      const endsAtMs = this.#clock.monotonicMs() + timeoutMs
      const answer = await this.#withRetries(call, { signal: deadline.signal, endsAtMs }, once)
      this.outage.answered()
      return answer
    } catch (error) {
      throw this.#failure(this.#name(call), error, deadline, call.signal)
    }
  }

  async #withRetries<T>(
    call: Call,
    { signal, endsAtMs }: { readonly signal: AbortSignal; readonly endsAtMs: number },
    once: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const backoff = new Backoff({ firstMs: 200, maxMs: 5_000 }, { random: this.#random })
    for (let attempt = 1; ; attempt++) {
      try {
        return await once(signal)
      } catch (error) {
        if (attempt >= maxAttempts || !mayRetry(call, error)) throw error
        const asked = error instanceof ApiError ? error.retryAfterMs : 0
        const waitMs = asked === undefined || asked > 0 ? Math.max(asked ?? 0, backoff.next()) : 0
        // a wait past the deadline is useless: throw the server's answer now
        if (this.#clock.monotonicMs() + waitMs >= endsAtMs) throw error
        if (waitMs > 0) await sleep(this.#clock, waitMs, signal)
        if (signal.aborted) throw error
      }
    }
  }

  /** Gives one answer with a 2xx status, else throws. After a 401 it tries once more with credentials read anew. */
  async #attempt(call: Call, connection: 'shared' | 'own', signal: AbortSignal): Promise<IncomingMessage> {
    for (let isSecond = false; ; isSecond = true) {
      const { response, credential } = await this.#transport.open({
        method: call.method,
        path: withQuery(call.path, call.query),
        headers: headersOf(call),
        body: call.body === undefined ? undefined : JSON.stringify(call.body),
        connection,
        signal,
      })
      const code = response.statusCode ?? 0
      if (code >= 200 && code < 300) return response
      await this.#refused(call, response, { credential, isSecond })
    }
  }

  async #upgrade(call: Call, protocols: readonly string[], signal: AbortSignal): Promise<WebSocket> {
    // a pod opens none, and should not hold the library in memory
    const { openWebSocket } = await import('./web-socket.ts')
    for (let isSecond = false; ; isSecond = true) {
      const access = await this.#transport.webSocketTo(call.path)
      // what comes is no JSON: an API server answers 406 to who wants that
      const headers = { ...access.headers, 'user-agent': userAgent }
      const opened = await openWebSocket({ ...access, headers, protocols, signal })
      if ('socket' in opened) return opened.socket
      const { refusal } = opened
      const { socket } = refusal
      try {
        await this.#refused(call, refusal, { credential: access.credential, isSecond })
      } finally {
        // nobody else can use the connection, and the server may leave it open
        socket.destroy()
      }
    }
  }

  /** Throws what an answer other than success says, unless it is a first 401, after which credentials are read anew. */
  async #refused(
    call: Call,
    response: IncomingMessage,
    { credential, isSecond }: { readonly credential: Credential; readonly isSecond: boolean },
  ): Promise<void> {
    const code = response.statusCode ?? 0
    const text = await readBody(response, maxErrorBytes)
    if (code === 401) this.#transport.refused(credential)
    if (code !== 401 || isSecond) throw apiErrorFrom(this.#name(call), code, response.headers, text)
  }

  #failure(what: string, error: unknown, deadline: Deadline, signal: AbortSignal | undefined): unknown {
    if (signal?.aborted === true && !(error instanceof ApiError)) return signal.reason
    const failure = typedFailure(what, error, deadline)
    if (isUnanswered(failure)) this.#noteNoAnswer()
    else this.outage.answered()
    return failure
  }

  #noteNoAnswer(): void {
    this.outage.failed()
    // they may lead to the same dead end, which a request on one of them would learn late
    this.#transport.closeIdle()
  }

  #name(call: Call): string {
    return `${call.method} ${this.server}${call.path.split('?', 1)[0]}`
  }
}

function typedFailure(what: string, error: unknown, deadline: Deadline): ApiError | ApiUnreachable {
  if (error instanceof ApiError) return error
  if (deadline.expired) return new ApiUnreachable(what, deadline.signal.reason)
  return new ApiUnreachable(what, error instanceof StaleConnection ? error.cause : error)
}

/**
 * 429 means that the request was turned away before it did anything, so every verb may be sent again. After a 503, or on a
 * connection that the server had closed, the request may have been executed: only requests that can be done twice are sent again.
 */
function mayRetry(call: Call, error: unknown): boolean {
  if (isApiError(error, 429)) return true
  const isIdempotent = call.method !== 'POST'
  return isIdempotent && (isApiError(error, 503) || error instanceof StaleConnection)
}

function headersOf(call: Call): Record<string, string> {
  const headers = { accept: 'application/json', 'user-agent': userAgent }
  if (call.body === undefined) return headers
  const length = Buffer.byteLength(JSON.stringify(call.body))
  return { ...headers, 'content-type': call.contentType ?? 'application/json', 'content-length': String(length) }
}

function withQuery(path: string, query: Readonly<Record<string, string>> = {}): string {
  const text = new URLSearchParams({ ...query }).toString()
  return text === '' ? path : `${path}?${text}`
}

function listQuery(
  options: Omit<ListOptions, 'keep'>,
  pageSize: number,
  continueToken: string,
): Record<string, string> {
  return {
    ...options.query,
    ...(options.labelSelector === undefined ? {} : { labelSelector: options.labelSelector }),
    ...(options.fieldSelector === undefined ? {} : { fieldSelector: options.fieldSelector }),
    ...(pageSize > 0 ? { limit: String(pageSize) } : {}),
    ...(continueToken === '' ? {} : { continue: continueToken }),
  }
}

type Page = { readonly items: readonly KubeObject[]; readonly resourceVersion: string; readonly continueToken: string }

/** Reads a page of a list. A list with an item without identity is refused, because such an item cannot be kept or told apart. */
function readList(value: unknown, name: () => string): Page {
  const { items, metadata } = isFields(value) ? value : {}
  const { resourceVersion, continue: continueToken } = isFields(metadata) ? metadata : {}
  // Go writes an empty list that was never allocated as null
  const list = items === null ? [] : items
  if (!Array.isArray(list) || typeof resourceVersion !== 'string') throw invalid(name(), 'the answer is no list')
  const objects = list.filter(isKubeObject)
  if (objects.length !== list.length) throw invalid(name(), 'the list has an item without metadata.name')
  return { items: objects, resourceVersion, continueToken: typeof continueToken === 'string' ? continueToken : '' }
}

function invalid(what: string, detail: string): ApiError {
  return new ApiError(what, { code: 200, reason: 'InvalidResponse', detail })
}

function parseAnswer(what: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw invalid(what, `the answer is no JSON: ${JSON.stringify(text.slice(0, 80))}`)
  }
}

async function readBody(response: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Uint8Array>) {
    bytes += chunk.length
    // leaving the loop destroys the response and with it the connection
    if (bytes > maxBytes) throw new Error(`the answer is longer than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function* bodyOf(response: IncomingMessage, onEnd: () => void): AsyncGenerator<Uint8Array> {
  try {
    yield* response as AsyncIterable<Uint8Array>
  } finally {
    onEnd()
  }
}
