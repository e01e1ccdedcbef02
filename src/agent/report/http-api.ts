// The agent's own HTTP server, on a unix socket beside the CNI socket: what the command line and probes read, and the few things
// that the command line has the agent do. What can be asked, and how, is the table src/api/operations.ts.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
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

/** Why there is no answer, as plain text that ends with a newline. */
export type HttpRefusal = { readonly status: 400 | 404 | 405 | 409 | 413 | 500 | 503; readonly body: string }
/** A text is sent as plain text, anything else as JSON. */
export type Answer<T> = { readonly status: 200; readonly body: T } | HttpRefusal
/** JSON that is too long to be made at once: sent piece by piece, as fast as it is read. */
export type LongAnswer = { readonly status: 200; readonly json: AsyncIterable<string> }

type AnyAnswer = Answer<unknown> | LongAnswer

/** What an operation's handler may answer. */
type HandlerAnswer<Name extends OperationName> =
  | Answer<AnswerOf<Name>>
  | Promise<Answer<AnswerOf<Name>>>
  | ((typeof operations)[Name] extends { readonly isLong: true } ? LongAnswer : never)

/** What this server does for which operation, with parameters that match the operation's schema. */
export type Handlers = { readonly [Name in OperationName]?: (params: ParamsOf<Name>) => HandlerAnswer<Name> }
type AnyHandler = (params: unknown) => AnyAnswer | Promise<AnyAnswer>

export type AgentApiDeps = {
  readonly log: Logger
  /**
   * Whether answers are compared with their schemas before they are sent, which is for tests: a status of a large cluster would
   * hold up the event loop for it. Long answers never are. Clients compare all that they get. Default: NODE_ENV is test.
   */
  readonly checksAnswers?: boolean
}

/** A request says what it wants in a few words; more than this is none of ours. */
const bodyLimitBytes = 64 << 10
/** A long answer that nobody reads on for so long is dropped. */
const stalledMs = 60_000

/** The body, or the answer to one that is too long. */
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

/** Whoever asked does not want to know any more. */
function isGone(error: unknown): boolean {
  return errorCode(error) === 'ERR_STREAM_PREMATURE_CLOSE'
}

async function send(response: ServerResponse, answer: AnyAnswer): Promise<void> {
  const { status } = answer
  if ('json' in answer) {
    const pieces = answer.json[Symbol.asyncIterator]()
    // what fails before there is anything can still be told
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

/** On IPv6 and IPv4, or on a kernel without IPv6 on IPv4 alone. */
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
      // half an answer is cut off, so that nobody takes it for all of it
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
    const body = await readBody(request)
    if (typeof body !== 'string') return body
    const params = readParams(operation, query, body)
    if ('mismatch' in params) return { status: 400, body: `${params.mismatch}\n` }
    return this.#checked(operation, await handler(params.value))
  }

  #unknown(path: string): HttpRefusal {
    const there = operationNames.filter((name) => this.#handlers[name]).map((name) => operationOf(name).path)
    return { status: 404, body: `${unknownOperation}${path}; there is ${there.join(', ')}\n` }
  }

  #checked({ path, answer: schema }: Operation, answer: AnyAnswer): AnyAnswer {
    if (!this.#checksAnswers || answer.status !== 200 || 'json' in answer || schema === 'text') return answer
    const mismatch = strictMismatchOf(schema, answer.body)
    return mismatch === undefined
      ? answer
      : { status: 500, body: `the answer to ${path} is not as declared: ${mismatch}\n` }
  }

  /** Serves these operations. Throws when another live agent has the socket, or another process the port. */
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
