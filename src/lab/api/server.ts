// The embedded Kubernetes API server, which replaces kube-apiserver and etcd in the lab. docs/lab-api.md says what it serves and how it
// differs from the real one.
import { createHash, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { type IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { messageOf, type Logger } from '#/lib/log.ts'
import { ApiError, internalError, noSuchPath, unauthorized } from './api-error.ts'
import { discovery, serverVersion } from './discovery.ts'
import type { Execute } from './exec.ts'
import { resourceRequest } from './http/request-info.ts'
import { sendBytes, sendError, sendJson, sendText } from './http/respond.ts'
import { serveResource } from './http/rest.ts'
import type { JsonObject } from './json.ts'
import { builtinDefinitions, builtinResources } from './kinds/builtin.ts'
import { Registry } from './kinds/registry.ts'
import { Lifecycle } from './lifecycle/lifecycle.ts'
import { openApiV2, openApiV3, openApiV3Index } from './openapi/document.ts'
import { encodeOpenApiV2 } from './openapi/protobuf.ts'
import { Store } from './storage/store.ts'
import { type Context, load } from './verbs/context.ts'

export type User = { readonly user: string; readonly groups: readonly string[] }

export type ApiServerOptions = {
  /** The directory of the objects; made when missing. Only one server may use it at a time. */
  readonly stateDir: string
  /** Bearer token -> user. A known user may do everything. */
  readonly tokens: ReadonlyMap<string, User>
  /** Key and certificate chain as PEM. */
  readonly tls: { readonly key: string; readonly cert: string }
  readonly log: Logger
  /** Executes commands in pods; absent: none can be executed. */
  readonly execute?: Execute
}

/** An address to bind, or the descriptor of a socket that already listens. */
export type ListenOn = { readonly host: string; readonly port: number } | { readonly fd: number }

/** Clients ask for `spec.v2@v1.0`, but "@" is not allowed in an answer's media type (RFC 7231 section 3.1.1.1). */
const protobufType = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf'

export class ApiServer implements AsyncDisposable {
  readonly #options: ApiServerOptions
  readonly #store: Store
  readonly #context: Context
  readonly #lifecycle: Lifecycle
  readonly #tokens: readonly { readonly digest: Buffer; readonly user: User }[]
  readonly #servers: Server[] = []
  /** Connections that speak another protocol by now, of which their server knows no more. */
  readonly #upgraded = new Set<Duplex>()
  #openApi: { readonly edition: number; readonly json: string; readonly protobuf: Buffer } | undefined

  /** Opens the state directory; throws StorageError. It serves nothing before `listen`. */
  constructor(options: ApiServerOptions) {
    this.#options = options
    const definitions = builtinDefinitions()
    const registry = new Registry(builtinResources(definitions), definitions)
    const indexes = Object.fromEntries(registry.stored().map((resource) => [resource.bucket, resource.indexes]))
    this.#store = new Store({ stateDir: options.stateDir, indexes })
    this.#context = { store: this.#store, registry, now: () => new Date(), log: options.log }
    this.#lifecycle = new Lifecycle(this.#context)
    this.#tokens = [...options.tokens].map(([token, user]) => ({ digest: digest(token), user }))
  }

  /** Serves on one more listener; resolves to the bound address when it accepts connections. */
  async listen(on: ListenOn): Promise<AddressInfo> {
    const server = createServer(
      { ...this.#options.tls, minVersion: 'TLSv1.2' },
      (request, response) => void this.#serve(request, response),
    )
    server.on('upgrade', (request, socket, head) => void this.#upgrade(request, socket, head))
    // only watches last long: a request itself must arrive completely within this time
    server.requestTimeout = 60_000
    server.headersTimeout = 20_000
    server.on('tlsClientError', (error) => this.#options.log.debug('TLS handshake failed', { error: messageOf(error) }))
    server.listen(on)
    await once(server, 'listening')
    this.#servers.push(server)
    const address = server.address()
    // the address is null or a text only when the listener is not on a TCP port
    if (address === null || typeof address === 'string')
      throw new Error('the API server needs a TCP socket to listen on')
    return address
  }

  /** Answers a request for another protocol: there is one of pods/exec alone. */
  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    this.#upgraded.add(socket)
    socket.on('close', () => this.#upgraded.delete(socket))
    try {
      this.#authenticate(request)
      const [path = '/', search = ''] = (request.url ?? '/').split(/\?(.*)/s, 2)
      const { execute } = this.#options
      const isExec = /^\/api\/v1\/namespaces\/[^/]+\/pods\/[^/]+\/exec$/.test(path)
      const info = isExec ? resourceRequest(path.slice(0, -'/exec'.length), this.#context.registry) : undefined
      if (info === undefined || execute === undefined) throw noSuchPath()
      const pod = load(this.#context, info.target).object
      // a lab in which nobody asks so need not read the library
      const { readExecQuery, serveExec } = await import('./exec.ts')
      serveExec({ pod, ...readExecQuery(new URLSearchParams(search)) }, execute, { request, socket, head })
    } catch (error) {
      const response = new ServerResponse(request)
      response.shouldKeepAlive = false
      response.assignSocket(socket as Socket)
      response.on('finish', () => socket.end())
      sendError(response, this.#asApiError(error, request))
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#route(request, response)
    } catch (error) {
      sendError(response, this.#asApiError(error, request))
    }
  }

  #asApiError(error: unknown, request: IncomingMessage): ApiError {
    if (error instanceof ApiError) return error
    if (request.destroyed && !request.complete) return internalError('the client went away')
    this.#options.log.error('request failed', { method: request.method, url: request.url, error: messageOf(error) })
    return internalError(messageOf(error))
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = '/', search = ''] = (request.url ?? '/').split(/\?(.*)/s, 2)
    const isHealth = /^\/(healthz|livez|readyz)(\/ping)?$/.test(path)
    // health and version need no token, as with the role system:public-info-viewer
    if (!isHealth && path !== '/version') this.#authenticate(request)
    if (isHealth) return sendText(response, 200, 'ok', 'text/plain; charset=utf-8')
    const info = resourceRequest(path, this.#context.registry)
    if (info !== undefined)
      return serveResource(this.#context, { request, response, query: new URLSearchParams(search), info })
    if (request.method !== 'GET' && request.method !== 'HEAD') throw noSuchPath()
    this.#document(path.length > 1 ? path.replace(/\/$/, '') : path, request, response)
  }

  #document(path: string, request: IncomingMessage, response: ServerResponse): void {
    const { registry } = this.#context
    if (path === '/openapi/v2') return this.#sendOpenApi(request, response)
    const found = this.#jsonDocument(path) ?? discovery(path, registry)
    if (found === undefined) throw noSuchPath()
    sendJson(response, 200, found)
  }

  #jsonDocument(path: string): JsonObject | undefined {
    const { registry } = this.#context
    if (path === '/version') return serverVersion
    if (path === '/openapi/v3') return openApiV3Index(registry)
    if (path.startsWith('/openapi/v3/')) return openApiV3(registry, path.slice('/openapi/v3/'.length))
    if (path !== '/') return undefined
    return { paths: ['/api', '/apis', '/healthz', '/livez', '/openapi/v2', '/openapi/v3', '/readyz', '/version'] }
  }

  #sendOpenApi(request: IncomingMessage, response: ServerResponse): void {
    const { registry } = this.#context
    if (this.#openApi?.edition !== registry.edition) {
      const document = openApiV2(registry)
      this.#openApi = { edition: registry.edition, json: JSON.stringify(document), protobuf: encodeOpenApiV2(document) }
    }
    if ((request.headers.accept ?? '').includes('proto-openapi.spec.v2'))
      sendBytes(response, 200, protobufType, this.#openApi.protobuf)
    else sendText(response, 200, this.#openApi.json)
  }

  #authenticate(request: IncomingMessage): User {
    const token = /^Bearer\s+(\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
    // digests all have one length, and comparing them takes the same time for every token
    const given = digest(token ?? '')
    const found = token === undefined ? undefined : this.#tokens.find((known) => timingSafeEqual(known.digest, given))
    if (found === undefined) throw unauthorized()
    return found.user
  }

  /** Ends all watches and connections, then closes the store. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#servers.map(async (server) => {
      const done = once(server, 'close')
      server.close()
      server.closeAllConnections()
      for (const socket of this.#upgraded) socket.destroy()
      await done
    })
    await Promise.all(closed)
    this.#lifecycle[Symbol.dispose]()
    this.#store[Symbol.dispose]()
  }
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
