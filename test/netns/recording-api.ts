// Between a client and the lab's API server: passes everything on, and notes what was asked for in the words of RBAC.
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { request } from 'node:https'
import { type ListenOptions } from 'node:net'
import { type TestServer } from '#/lab/api/testing.ts'

/** A request as an authorizer sees it; "" for what it has not. */
export type Asked = {
  readonly verb: string
  readonly group: string
  /** With its subresource: nodes/status. */
  readonly resource: string
  readonly namespace: string
  readonly name: string
}

const verbs: Readonly<Record<string, string>> = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' }

export function askedFor(method: string, url: URL): Asked {
  const [root, ...rest] = url.pathname.split('/').slice(1)
  const group = root === 'api' ? '' : rest.shift()!
  rest.shift()
  const isNamespaced = rest[0] === 'namespaces' && rest.length > 2
  const namespace = isNamespaced ? rest[1]! : ''
  const [plural = '', name = '', subresource] = isNamespaced ? rest.slice(2) : rest
  const read = name !== '' ? 'get' : url.searchParams.has('watch') ? 'watch' : 'list'
  const resource = subresource === undefined ? plural : `${plural}/${subresource}`
  return { verb: verbs[method] ?? read, group, resource, namespace, name }
}

export class RecordingApi implements AsyncDisposable {
  readonly asked: Asked[] = []
  /** Called before a request is passed on. */
  onRequest: (asked: Asked) => Promise<void> = async () => {}
  readonly #behind: TestServer
  readonly #server = createServer((incoming, outgoing) => void this.#pass(incoming, outgoing))

  private constructor(behind: TestServer) {
    this.#behind = behind
  }

  /** `place` is a listening socket, of whichever namespace; without one it listens on loopback. */
  static async start(
    behind: TestServer,
    place: ListenOptions | { fd: number } = { host: '127.0.0.1', port: 0 },
  ): Promise<RecordingApi> {
    const api = new RecordingApi(behind)
    const { promise, resolve } = Promise.withResolvers<void>()
    api.#server.listen(place, resolve)
    await promise
    return api
  }

  get port(): number {
    const address = this.#server.address()
    assert.ok(typeof address === 'object' && address !== null)
    return address.port
  }

  async #pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const asked = askedFor(incoming.method ?? '', new URL(incoming.url ?? '/', 'http://api'))
    this.asked.push(asked)
    await this.onRequest(asked)
    const { url, token, certificates } = this.#behind
    const headers = { ...incoming.headers, host: new URL(url).host, authorization: `Bearer ${token}` }
    const { method } = incoming
    const behind = request(
      `${url}${incoming.url}`,
      { method, headers, ca: certificates.ca, agent: false },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers)
        outgoing.flushHeaders()
        answer.pipe(outgoing)
      },
    )
    outgoing.on('close', () => behind.destroy())
    behind.on('error', () => outgoing.destroy())
    incoming.pipe(behind)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    this.#server.closeAllConnections()
    await promise
  }
}
