// The server of the page: on loopback alone, for who has the address that was printed. docs/ui.md says what it refuses.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { errorCode } from '#/lib/error-code.ts'
import { messageOf } from '#/lib/log.ts'
import { ownValue } from '#/lib/own-value.ts'
import {
  type Refused,
  refusedByPlace,
  refusedByToken,
  refusedByType,
  type RequestHead,
  securityHeaders,
} from '#/ui/admission.ts'
import { type Refusal as RefusalBody, type TraceLine } from '#/ui/contract.ts'
import { UsageError } from '../args.ts'
import { type Assets } from './assets.ts'
import { Connections } from './connections.ts'
import { type Hub } from './hub.ts'
import { LivePage } from './live-page.ts'
import { Questions } from './questions.ts'
import { Refusal } from './refusal.ts'
import { longestName, type Traces, wishIn } from './traces.ts'

const mostBodyBytes = 4 << 10
const mostHeaderBytes = 8 << 10
const mostConnections = 64
const mostPages = 16
/** Of what is asked on demand, for all pages together. */
const mostQuestions = 8
/** A client may send its request in so many ms, and read nothing of an answer for so long. */
const requestMs = 10_000
const stalledMs = 30_000
/** Below that, packing costs more than it saves. */
const leastPackedBytes = 1400

export type UiServerDeps = {
  readonly hub: Hub
  readonly assets: Assets
  readonly traces: Traces
  readonly token: string
}

type Call = {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly url: URL
  readonly isGzip: boolean
}
/** Any node's own path, which ends with its name. */
const anyNode = '/api/node/*'

type Route = { readonly method: 'GET' | 'POST'; readonly answer: (call: Call) => Promise<void> }

function takesGzip({ headers }: IncomingMessage): boolean {
  return /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/.test(headers['accept-encoding']?.toString() ?? '')
}

function refuse(response: ServerResponse, status: number, message: string): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  const body: RefusalBody = { message }
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', connection: 'close' })
  response.end(`${JSON.stringify(body)}\n`)
}

function sendJson({ response, isGzip }: Call, value: unknown, status = 200): void {
  const plain = Buffer.from(`${JSON.stringify(value)}\n`)
  const isPacked = isGzip && plain.length >= leastPackedBytes
  const body = isPacked ? gzipSync(plain, { level: 4 }) : plain
  response.writeHead(status, {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'content-length': body.length,
    ...(isPacked && { 'content-encoding': 'gzip' }),
  })
  response.end(body)
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const tooLong = new Refusal(413, `the body has more than ${mostBodyBytes} bytes`)
  // who says so beforehand gets the answer, and is not cut off
  if (Number(request.headers['content-length']) > mostBodyBytes) throw tooLong
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > mostBodyBytes) throw tooLong
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString()) as unknown
  } catch (error) {
    throw new Refusal(400, `the body is no JSON: ${messageOf(error)}`)
  }
}

/** Of a verdict's status: neither answered, nor taken by a program, nor untold. */
const isLost = ({ exitStatus }: { readonly exitStatus: number }): boolean => exitStatus === 1

/** Aborts when the client is gone. */
function goneSignal(response: ServerResponse): AbortSignal {
  const gone = new AbortController()
  response.on('close', () => gone.abort())
  return gone.signal
}

function pathPart(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new Refusal(400, 'the path is not encoded as addresses are')
  }
}

export class UiServer implements AsyncDisposable {
  readonly #deps: UiServerDeps
  readonly #server: Server
  readonly #questions: Questions
  readonly #connections = new Connections(mostConnections)
  readonly #routes: Readonly<Record<string, Route>>
  #pages = 0
  #asked = 0

  constructor(deps: UiServerDeps) {
    this.#deps = deps
    this.#questions = new Questions(deps.hub)
    this.#routes = this.#makeRoutes()
    const limits = { headersTimeout: requestMs, requestTimeout: requestMs, keepAliveTimeout: 5_000 }
    this.#server = createServer(
      { maxHeaderSize: mostHeaderBytes, connectionsCheckingInterval: 2_000, ...limits },
      (request, response) => void this.#serve(request, response),
    )
    this.#server.on('connection', (socket) => this.#connections.add(socket))
    // neither a WebSocket nor a tunnel is served
    for (const event of ['upgrade', 'connect'] as const)
      this.#server.on(event, (_request: unknown, socket: { destroy: () => void }) => socket.destroy())
  }

  /** Listens on loopback; port 0: any that is free. Returns where, as an address has it. Rejects when it cannot. */
  async listen(port: number): Promise<string> {
    for (const host of ['127.0.0.1', '::1']) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      this.#server.once('error', reject)
      this.#server.listen({ host, port }, resolve)
      try {
        await promise
        return `${host.includes(':') ? `[${host}]` : host}:${this.port}`
      } catch (error) {
        // a computer without IPv4
        if (host === '127.0.0.1' && ['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(errorCode(error) ?? '')) continue
        throw error
      } finally {
        this.#server.removeListener('error', reject)
      }
    }
    throw new Error('this computer has no loopback address')
  }

  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  #makeRoutes(): Readonly<Record<string, Route>> {
    const ask =
      (question: (call: Call, signal: AbortSignal) => Promise<unknown>): Route['answer'] =>
      async (call) =>
        sendJson(call, await this.#bounded(() => question(call, goneSignal(call.response))))
    const node = ({ url }: Call, name: string): string => {
      const value = url.searchParams.get(name) ?? ''
      if (value === '') throw new Refusal(400, `${name}: the name of a node is missing`)
      return value
    }
    return {
      '/api/live': { method: 'GET', answer: async (call) => this.#live(call) },
      [anyNode]: {
        method: 'GET',
        answer: ask((call, signal) => this.#questions.node(pathPart(call.url.pathname.split('/')[3] ?? ''), signal)),
      },
      '/api/crossing': {
        method: 'GET',
        answer: ask((call, signal) => this.#questions.crossing(node(call, 'from'), node(call, 'to'), signal)),
      },
      '/api/pods': {
        method: 'GET',
        answer: ask(({ url }, signal) => {
          const q = url.searchParams.get('q') ?? ''
          if (q.length > longestName) throw new Refusal(400, 'q: is longer than any name')
          return this.#questions.pods(q, signal)
        }),
      },
      '/api/policies': { method: 'GET', answer: ask((_call, signal) => this.#questions.policies(signal)) },
      '/api/doctor': {
        method: 'POST',
        answer: async (call) => {
          this.#deps.hub.diagnose()
          sendJson(call, {}, 202)
        },
      },
      '/api/trace': { method: 'POST', answer: async (call) => this.#trace(call) },
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(securityHeaders)) response.setHeader(name, value)
    // one that reads nothing of its answer is no longer served; the live lines have a limit of their own
    response.setTimeout(stalledMs, () => response.destroy())
    try {
      await this.#answer(request, response)
    } catch (error) {
      const status = error instanceof UsageError ? 400 : 502
      refuse(response, error instanceof Refusal ? error.status : status, messageOf(error))
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const head: RequestHead = { method: request.method ?? '', url: request.url ?? '', headers: request.headers }
    const check = (refused: Refused | undefined): void => {
      if (refused !== undefined) throw new Refusal(refused.status, refused.message)
    }
    check(refusedByPlace(head, this.port))
    const url = new URL(head.url, 'http://127.0.0.1')
    const call: Call = { request, response, url, isGzip: takesGzip(request) }
    const { pathname } = url
    if (!pathname.startsWith('/api/')) {
      if (head.method !== 'GET') throw new Refusal(405, 'only GET is served')
      if (!this.#deps.assets.serve(pathname, request, response, call.isGzip))
        throw new Refusal(404, 'there is no such page')
      return
    }
    check(refusedByToken(head, this.#deps.token))
    this.#connections.know(request.socket)
    const route = ownValue(this.#routes, pathname.replace(/^\/api\/node\/[^/]+$/, anyNode))
    if (route === undefined) throw new Refusal(404, 'there is nothing of this name')
    if (head.method !== route.method) throw new Refusal(405, `only ${route.method} is served`)
    check(refusedByType(head))
    await route.answer(call)
  }

  async #bounded<T>(work: () => Promise<T>): Promise<T> {
    if (this.#asked >= mostQuestions) throw new Refusal(429, 'as many questions as may be asked at once are')
    this.#asked++
    try {
      return await work()
    } finally {
      this.#asked--
    }
  }

  #live({ request, response, isGzip }: Call): void {
    if (this.#pages >= mostPages) throw new Refusal(429, `${mostPages} pages are open, which is as many as may be`)
    this.#pages++
    request.socket.setNoDelay()
    response.setTimeout(0)
    LivePage.open(this.#deps.hub, response, { isGzip, onEnd: () => this.#pages-- })
  }

  async #trace({ request, response }: Call): Promise<void> {
    const { hub, traces } = this.#deps
    const wish = wishIn(await readBody(request))
    using _place = traces.take()
    const isGone = goneSignal(response)
    const begin = (): void => {
      if (response.headersSent) return
      response.writeHead(200, { 'content-type': 'application/x-ndjson; charset=utf-8', 'cache-control': 'no-store' })
    }
    const tell = (line: TraceLine): void => {
      if (line.kind === 'trace' && isLost(line.trace)) hub.noteLostTrace()
      if (isGone.aborted) return
      begin()
      response.write(`${JSON.stringify(line)}\n`)
    }
    await hub.pool.use((agents) => traces.run(agents, wish, tell))
    begin()
    response.end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    this.#server.closeAllConnections()
    await promise
  }
}
