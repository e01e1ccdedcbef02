// For tests: an HTTP server on 127.0.0.1 that answers as a test scripts it, however badly.
import assert from 'node:assert/strict'
import http from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ServerConfig } from '../config.ts'

export type FakeRequest = {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
  readonly socket: Socket
}

/** Answers a request for another protocol, on its bare connection. */
export type UpgradeHandler = (request: http.IncomingMessage, socket: Duplex, head: Buffer) => void

export type Handler = (request: FakeRequest, response: http.ServerResponse) => void

export class FakeApi implements AsyncDisposable {
  readonly requests: FakeRequest[] = []
  /** The function that answers requests; a test may replace it at any time. */
  handler: Handler
  readonly #server: http.Server
  readonly #upgraded = new Set<Duplex>()
  readonly #scheme: 'http' | 'https'

  private constructor(handler: Handler, tls: https.ServerOptions | undefined) {
    this.handler = handler
    this.#scheme = tls === undefined ? 'http' : 'https'
    const listener: http.RequestListener = (request, response) => void this.#serve(request, response)
    this.#server = tls === undefined ? http.createServer(listener) : https.createServer(tls, listener)
  }

  /** Starts a server. `fd` is a socket that listens already, in any namespace. */
  static async start(
    handler: Handler,
    options: { tls?: https.ServerOptions; port?: number; fd?: number; upgrade?: UpgradeHandler } = {},
  ): Promise<FakeApi> {
    const api = new FakeApi(handler, options.tls)
    const { upgrade } = options
    if (upgrade)
      api.#server.on('upgrade', (request, socket, head) => {
        // the server itself knows of them no more
        api.#upgraded.add(socket)
        socket.on('close', () => api.#upgraded.delete(socket))
        upgrade(request, socket, head)
      })
    const { fd } = options
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    api.#server.once('error', reject)
    api.#server.listen(fd === undefined ? { port: options.port ?? 0, host: '127.0.0.1' } : { fd }, resolve)
    await promise
    return api
  }

  get port(): number {
    const address = this.#server.address()
    assert.ok(typeof address === 'object' && address !== null)
    return address.port
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.port}`
  }

  get config(): ServerConfig {
    return { server: new URL(this.url), insecure: false }
  }

  /** Cuts every connection, as a crash of the server does. */
  cut(): void {
    this.#server.closeAllConnections()
    for (const socket of this.#upgraded) socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    this.cut()
    await promise
  }

  async #serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://fake')
    const chunks: Uint8Array[] = []
    try {
      for await (const chunk of request as AsyncIterable<Uint8Array>) chunks.push(chunk)
    } catch {
      return // the client went away
    }
    const seen: FakeRequest = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body: Buffer.concat(chunks).toString('utf8'),
      socket: request.socket,
    }
    this.requests.push(seen)
    this.handler(seen, response)
  }
}

export function sendJson(
  response: http.ServerResponse,
  body: unknown,
  code = 200,
  headers: http.OutgoingHttpHeaders = {},
): void {
  response.writeHead(code, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

/** A metav1.Status, as API servers send with every error. */
export function sendStatus(
  response: http.ServerResponse,
  code: number,
  reason: string,
  headers: http.OutgoingHttpHeaders = {},
): void {
  sendJson(response, { kind: 'Status', apiVersion: 'v1', code, reason, message: `test: ${reason}` }, code, headers)
}

export function isWatch(request: FakeRequest): boolean {
  return request.query.get('watch') === 'true'
}
