// The agent's HTTP server, on a unix socket beside the CNI socket and optionally on a TCP port. It serves the command line and probes.
// The table src/api/operations.ts lists its operations.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type GenericSchema } from 'valibot'
import { readParams, unknownOperation } from '#/api/message.ts'
import {
  type AnswerOf,
  type Operation,
  operationNames,
  operationOf,
  type OperationName,
  type operations,
  type ParamsOf,
} from '#/api/operations.ts'
import { strictMismatchOf } from '#/api/read.ts'
import { serverHeader } from '#/api/transport.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { version } from '#/model/version.ts'
import { listenOn } from '../unix-socket.ts'
import { errorCode } from '#/lib/error-code.ts'

/** `body` says why there is no answer, as plain text that ends with a newline. */
export type HttpRefusal = { readonly status: 400 | 404 | 405 | 409 | 413 | 429 | 500 | 503; readonly body: string }
/** A string is sent as plain text, any other value as JSON. */
export type Answer<T> = { readonly status: 200; readonly body: T } | HttpRefusal
/** JSON that is too long to be made at once: it is sent piece by piece, as fast as the client reads it. */
export type LongAnswer = { readonly status: 200; readonly json: AsyncIterable<string> }

/** An answer that goes on: lines of JSON, as long as the client reads them. */
export type StreamAnswer<Line> = {
  readonly status: 200
  /** Resolves when there is nothing more to tell; `out.signal` aborts when the client is gone. */
  readonly stream: (out: LineWriter<Line>) => Promise<void>
}
export type LineWriter<Line> = {
  readonly write: (line: Line) => void
  /** Whether the client reads too slowly: what is written now waits in memory. */
  readonly isBehind: () => boolean
  readonly signal: AbortSignal
}

type AnyAnswer = Answer<unknown> | LongAnswer | StreamAnswer<never>

/** The answers that an operation's handler may give. */
type HandlerAnswer<Name extends OperationName> =
  | Answer<AnswerOf<Name>>
  | Promise<Answer<AnswerOf<Name>>>
  | ((typeof operations)[Name] extends { readonly isLong: true }
      ? LongAnswer | Promise<LongAnswer | HttpRefusal>
      : never)
  | ((typeof operations)[Name] extends { readonly isStream: true } ? StreamAnswer<AnswerOf<Name>> : never)

/** The handlers of the operations that a server serves. The server calls them with parameters that match the operation's schema. */
export type Handlers = { readonly [Name in OperationName]?: (params: ParamsOf<Name>) => HandlerAnswer<Name> }
type AnyHandler = (params: unknown) => AnyAnswer | Promise<AnyAnswer>

export type AgentApiDeps = {
  readonly log: Logger
  /** Why it serves some operations alone, for a server that is no agent. */
  readonly partOf?: string
  /**
   * Whether answers are compared with their schemas before they are sent. This is for tests (the default is true when NODE_ENV is test):
   * comparing the status of a large cluster would block the event loop. Long answers are never compared. Clients compare every answer.
   */
  readonly checksAnswers?: boolean
}

/** The largest request body that is read: the parameters of every operation are far smaller. */
const bodyLimitBytes = 64 << 10
/** A long answer is dropped when the client has read nothing of it for this long. */
const stalledMs = 60_000
/** The reader of a stream is behind when so much waits for it: what comes at once may wait a moment. */
const behindBytes = 1 << 20
/** How often an empty line is sent in a stream: clients take a longer silence for the agent's end. */
const beatMs = 2_000

/** Reads the request's body; returns a refusal when it is too long. */
async function readBody(request: IncomingMessage): Promise<string | HttpRefusal> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > bodyLimitBytes) return { status: 413, body: `the body has more than ${bodyLimitBytes} bytes\n` }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

async function* continued<Item>(
  first: IteratorResult<Item>,
  rest: AsyncIterator<Item>,
): AsyncGenerator<Item, void, void> {
  if (first.done === true) return
  yield first.value
  yield* { [Symbol.asyncIterator]: () => rest }
}

/** Whether the client has closed the connection before the end of the answer. */
function isGone(error: unknown): boolean {
  return errorCode(error) === 'ERR_STREAM_PREMATURE_CLOSE'
}

async function sendStream(response: ServerResponse, { status, stream }: StreamAnswer<never>): Promise<void> {
  const gone = new AbortController()
  response.on('close', () => gone.abort())
  response.writeHead(status, { 'content-type': 'application/x-ndjson' })
  response.setTimeout(stalledMs, () => response.destroy())
  response.write('\n')
  const beat = setInterval(() => {
    if (!response.writableNeedDrain) response.write('\n')
  }, beatMs)
  try {
    await stream({
      write: (line) => response.write(`${JSON.stringify(line)}\n`),
      isBehind: () => response.writableLength > behindBytes,
      signal: gone.signal,
    })
    response.end()
  } finally {
    clearInterval(beat)
  }
}

async function send(response: ServerResponse, answer: AnyAnswer): Promise<void> {
  const { status } = answer
  if ('stream' in answer) return sendStream(response, answer)
  if ('json' in answer) {
    const pieces = answer.json[Symbol.asyncIterator]()
    // an error before the first piece can still be answered with status 500
    const first = await pieces.next()
    response.writeHead(status, { 'content-type': 'application/json' })
    response.setTimeout(stalledMs, () => response.destroy())
    await pipeline(Readable.from(continued(first, pieces)), response)
    return
  }
  const { body } = answer
  const isText = typeof body === 'string'
  response.writeHead(status, { 'content-type': isText ? 'text/plain; charset=utf-8' : 'application/json' })
  response.end(isText ? body : `${JSON.stringify(body)}\n`)
}

/** Listens on IPv6 and IPv4, or on IPv4 alone where the kernel has no IPv6. */
async function listenOnPort(server: Server, port: number): Promise<void> {
  for (const host of ['::', '0.0.0.0']) {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    server.once('error', reject)
    server.listen({ host, port }, resolve)
    try {
      await promise
      return
    } catch (error) {
      const code = errorCode(error)
      if (code === 'EAFNOSUPPORT' && host === '::') continue
      const why = `TCP port ${port} (CAUSEWAY_HTTP_PORT) cannot be used: ${messageOf(error)}`
      throw new Error(code === 'EADDRINUSE' ? `${why}; "ss -ltnp sport = :${port}" tells who has it` : why, {
        cause: error,
      })
    } finally {
      server.removeListener('error', reject)
    }
  }
}

function checkedStream(path: string, schema: GenericSchema, { status, stream }: StreamAnswer<never>): AnyAnswer {
  const checked: StreamAnswer<never>['stream'] = (out) =>
    stream({
      ...out,
      write: (line) => {
        const mismatch = strictMismatchOf(schema, line)
        if (mismatch !== undefined) throw new Error(`a line of the answer to ${path} is not as declared: ${mismatch}`)
        out.write(line)
      },
    })
  return { status, stream: checked }
}

/** A unix socket for root alone, or a TCP port on all addresses of the node. */
export type Place = { readonly socketPath: string } | { readonly port: number }

export class AgentApi {
  readonly #deps: AgentApiDeps
  #handlers: Handlers = {}
  readonly #server: Server
  readonly #place: Place
  readonly #checksAnswers: boolean
  #removeSocket: (() => Promise<void>) | undefined

  constructor(place: Place, deps: AgentApiDeps) {
    this.#place = place
    this.#deps = deps
    this.#checksAnswers = deps.checksAnswers ?? process.env['NODE_ENV'] === 'test'
    this.#server = createServer((request, response) => {
      response.setHeader('server', serverHeader(version))
      void this.#serve(request, response)
    })
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await send(response, await this.#answer(request))
    } catch (error) {
      if (isGone(error)) return
      this.#deps.log.error('request failed', { url: request.url, error: messageOf(error) })
      // cuts the connection, so that the client does not take half an answer for a whole one
      if (response.headersSent) response.destroy()
      else await send(response, { status: 500, body: `${messageOf(error)}\n` })
    }
  }

  async #answer(request: IncomingMessage): Promise<AnyAnswer> {
    const { pathname: path, searchParams: query } = new URL(request.url ?? '/', 'http://agent')
    const name = operationNames.find((each) => operationOf(each).path === path)
    const handler = name && (this.#handlers[name] as AnyHandler | undefined)
    if (name === undefined || handler === undefined) return this.#unknown(path)
    const operation = operationOf(name)
    if (request.method !== operation.method) return { status: 405, body: `only ${operation.method} is served\n` }
    const body = operation.method === 'POST' ? await readBody(request) : ''
    if (typeof body !== 'string') return body
    const params = readParams(operation, query, body)
    if ('mismatch' in params) return { status: 400, body: `${params.mismatch}\n` }
    return this.#checked(operation, await handler(params.value))
  }

  #unknown(path: string): HttpRefusal {
    const { partOf } = this.#deps
    if (partOf !== undefined) return { status: 404, body: `${partOf}, and has no ${path}\n` }
    const there = operationNames.filter((name) => this.#handlers[name]).map((name) => operationOf(name).path)
    return { status: 404, body: `${unknownOperation}${path}; there is ${there.join(', ')}\n` }
  }

  #checked({ path, answer: schema }: Operation, answer: AnyAnswer): AnyAnswer {
    if (!this.#checksAnswers || answer.status !== 200 || 'json' in answer || schema === 'text') return answer
    if ('stream' in answer) return checkedStream(path, schema, answer)
    const mismatch = strictMismatchOf(schema, answer.body)
    return mismatch === undefined
      ? answer
      : { status: 500, body: `the answer to ${path} is not as declared: ${mismatch}\n` }
  }

  /** Starts serving these operations. Throws when another live agent answers on the socket, or another process uses the port. */
  async start(handlers: Handlers): Promise<void> {
    this.#handlers = handlers
    if ('socketPath' in this.#place) this.#removeSocket = await listenOn(this.#server, this.#place.socketPath)
    else await listenOnPort(this.#server, this.#place.port)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#removeSocket?.()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    this.#server.closeAllConnections()
    await promise
  }
}
