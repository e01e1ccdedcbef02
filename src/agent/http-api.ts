// The agent's own HTTP interface, on a unix socket beside the CNI socket: what the command line and probes read.
import { createServer, type Server } from 'node:http'
import { type Logger, messageOf } from '#/lib/log.ts'
import { listenOn } from './cni/listen.ts'

export type Answer = { readonly status: number; readonly body: unknown }

/** Path -> what to answer; a text is sent as plain text, anything else as JSON. */
export type Endpoints = Readonly<Record<string, () => Answer>>

export class AgentApi {
  readonly #server: Server
  readonly #socketPath: string
  #removeSocket: (() => Promise<void>) | undefined

  constructor(options: { socketPath: string }, deps: { endpoints: Endpoints; log: Logger }) {
    this.#socketPath = options.socketPath
    this.#server = createServer((request, response) => {
      const send = ({ status, body }: Answer): void => {
        const isText = typeof body === 'string'
        response.writeHead(status, { 'content-type': isText ? 'text/plain; charset=utf-8' : 'application/json' })
        response.end(isText ? body : `${JSON.stringify(body)}\n`)
      }
      try {
        const endpoint = deps.endpoints[new URL(request.url ?? '/', 'http://agent').pathname]
        if (endpoint === undefined) send({ status: 404, body: `there is ${Object.keys(deps.endpoints).join(', ')}\n` })
        else if (request.method !== 'GET') send({ status: 405, body: 'only GET is served\n' })
        else send(endpoint())
      } catch (error) {
        deps.log.error('request failed', { url: request.url, error: messageOf(error) })
        send({ status: 500, body: `${messageOf(error)}\n` })
      }
    })
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
