// The agent's own HTTP interface, on a unix socket beside the CNI socket: what the command line and probes read, and the
// few things that the command line has the agent do.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Logger, messageOf } from '#/lib/log.ts'
import { listenOn } from './cni/listen.ts'

export type Answer = { readonly status: number; readonly body: unknown }
/** JSON that is too long to be made at once: sent piece by piece, as fast as it is read. */
export type LongAnswer = { readonly status: number; readonly json: AsyncIterable<string> }

/** Path -> what to answer; a text is sent as plain text, anything else as JSON. */
export type Endpoints = Readonly<Record<string, (query: URLSearchParams) => Answer | LongAnswer | Promise<Answer>>>
/** Path -> what to do with the JSON of a POST, and what to answer. */
export type Actions = Readonly<Record<string, (body: unknown) => Answer | Promise<Answer>>>

/** What there is to ask for. */
export type Served = { readonly endpoints: Endpoints; readonly actions?: Actions }

/** An action says what to do in a few words; more than this is no request of ours. */
const bodyLimitBytes = 64 << 10
/** A long answer that nobody reads on for so long is dropped. */
const stalledMs = 60_000

/** The parsed body, or the answer to one that cannot be read. */
async function readJson(request: IncomingMessage): Promise<{ readonly value: unknown } | { readonly refusal: Answer }> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > bodyLimitBytes)
      return { refusal: { status: 413, body: `the body has more than ${bodyLimitBytes} bytes\n` } }
    chunks.push(chunk)
  }
  try {
    return { value: JSON.parse(Buffer.concat(chunks).toString()) as unknown }
  } catch (error) {
    return { refusal: { status: 400, body: `the body is no JSON: ${messageOf(error)}\n` } }
  }
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
  return error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE'
}

async function send(response: ServerResponse, answer: Answer | LongAnswer): Promise<void> {
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
      const code = error instanceof Error && 'code' in error ? error.code : undefined
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
  readonly #log: Logger
  #served: Served = { endpoints: {} }
  readonly #server: Server
  readonly #place: Place
  #removeSocket: (() => Promise<void>) | undefined

  constructor(place: Place, log: Logger) {
    this.#place = place
    this.#log = log
    this.#server = createServer((request, response) => void this.#serve(request, response))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await send(response, await this.#answer(request))
    } catch (error) {
      if (isGone(error)) return
      this.#log.error('request failed', { url: request.url, error: messageOf(error) })
      // half an answer is cut off, so that nobody takes it for all of it
      if (response.headersSent) response.destroy()
      else await send(response, { status: 500, body: `${messageOf(error)}\n` })
    }
  }

  async #answer(request: IncomingMessage): Promise<Answer | LongAnswer> {
    const { endpoints, actions = {} } = this.#served
    const { pathname: path, searchParams } = new URL(request.url ?? '/', 'http://agent')
    const [endpoint, action] = [endpoints[path], actions[path]]
    if (endpoint === undefined && action === undefined) {
      return { status: 404, body: `there is ${Object.keys({ ...endpoints, ...actions }).join(', ')}\n` }
    }
    if (endpoint !== undefined && request.method === 'GET') return endpoint(searchParams)
    if (action === undefined || request.method !== 'POST')
      return { status: 405, body: `only ${endpoint === undefined ? 'POST' : 'GET'} is served\n` }
    const body = await readJson(request)
    return 'refusal' in body ? body.refusal : action(body.value)
  }

  /** Throws when another live agent has the socket, or another process the port. */
  async start(served: Served): Promise<void> {
    this.#served = served
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
