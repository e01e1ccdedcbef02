// The agent's own HTTP interface, on a unix socket beside the CNI socket: what the command line and probes read.
import { createServer, type Server } from 'node:http'
import { type Logger, messageOf } from '#/lib/log.ts'
import { listenOn } from './cni/listen.ts'

export type Answer = { readonly status: number; readonly body: unknown }

/** Path -> what to answer; a text is sent as plain text, anything else as JSON. */
export type Endpoints = Readonly<Record<string, () => Answer | Promise<Answer>>>

export class AgentApi {
  readonly #server: Server
  readonly #socketPath: string
  readonly #endpoints: Endpoints
  readonly #log: Logger
  #removeSocket: (() => Promise<void>) | undefined

  constructor(options: { socketPath: string }, deps: { endpoints: Endpoints; log: Logger }) {
    this.#socketPath = options.socketPath
    this.#endpoints = deps.endpoints
    this.#log = deps.log
    this.#server = createServer((request, response) => {
      void this.#answer(request.method, request.url ?? '/').then(({ status, body }) => {
        const isText = typeof body === 'string'
        response.writeHead(status, { 'content-type': isText ? 'text/plain; charset=utf-8' : 'application/json' })
        response.end(isText ? body : `${JSON.stringify(body)}\n`)
      })
    })
  }

  /** Never rejects. */
  async #answer(method: string | undefined, url: string): Promise<Answer> {
    try {
      const endpoint = this.#endpoints[new URL(url, 'http://agent').pathname]
      if (endpoint === undefined) return { status: 404, body: `there is ${Object.keys(this.#endpoints).join(', ')}\n` }
      return method === 'GET' ? await endpoint() : { status: 405, body: 'only GET is served\n' }
    } catch (error) {
      this.#log.error('request failed', { url, error: messageOf(error) })
      return { status: 500, body: `${messageOf(error)}\n` }
    }
  }

  /** Throws when another live agent has the socket. */
  async start(): Promise<void> {
    this.#removeSocket = await listenOn(this.#server, this.#socketPath)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#removeSocket?.()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    this.#server.closeAllConnections()
    await promise
  }
}
