// HTTP to one API server over node:https. Requests share kept-alive connections. Each watch gets a connection of its own, so that closing
// one watch does not affect another, and a stuck watch holds up no request.
import { X509Certificate } from 'node:crypto'
import http from 'node:http'
import https from 'node:https'
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions, createSecureContext, type SecureContext } from 'node:tls'
import { type Clock } from './clock.ts'
import type { ServerConfig } from './config.ts'
import { ConfigError } from './config.ts'
import type { Credential, CredentialSource } from './credentials.ts'
import { describe } from './errors.ts'

export type WireRequest = {
  readonly method: string
  /** The absolute path with its query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
  readonly connection: 'shared' | 'own'
  readonly signal: AbortSignal
}

export type WireAnswer = {
  readonly response: http.IncomingMessage
  /** The credential that the request was sent with; pass it to `Transport.refused` after a 401. */
  readonly credential: Credential
}

export type WebSocketAccess = {
  /** ws:// or wss:// */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** As in WireAnswer. */
  readonly credential: Credential
  readonly connect: () => Socket
}

/** A kept-alive connection turned out to be closed by the server before it took the request: safe to send again. */
export class StaleConnection extends Error {
  override name = 'StaleConnection'
}

type Pool = {
  readonly credential: Credential
  readonly secureContext: SecureContext | undefined
  readonly agent: http.Agent
}

// A quiet connection is probed after 5 s, then once a second, five times: a peer that is gone without a word is noticed within 10 s.
const keepAliveAfterMs = 5_000
const keepAliveEveryMs = 1_000
const keepAliveProbes = 5
/** How long sent bytes may stay without acknowledgement, for those who can set that (`limitSilence`): as long as a quiet connection may. */
export const maxSilenceMs = keepAliveAfterMs + keepAliveEveryMs * keepAliveProbes
// Below the idle timeouts of API servers and load balancers, so that this side closes idle connections first.
const idleCloseMs = 30_000
// node:net gives an address only 250 ms before it tries the next; that is less than one lost SYN costs.
const addressAttemptMs = 2_000
/**
 * How long one address may take to accept a connection, a little longer than node:net gives all but the last of several. Without a limit
 * the kernel tries for two minutes, at growing intervals, and notices late that packets get through again.
 */
const connectMs = 2_500
/** How long the TLS handshake may take after that: the same as in Go's clients. */
const handshakeMs = 10_000

export type TransportDeps = {
  readonly credentials: CredentialSource
  readonly clock: Clock
  /** Makes a connected socket fail when sent bytes stay unacknowledged for `maxSilenceMs`; absent: only requests have a time limit. */
  readonly limitSilence?: LimitSilence
}

export type LimitSilence = (socket: Socket, maxSilenceMs: number) => void

export class Transport {
  readonly #config: ServerConfig
  readonly #deps: TransportDeps
  #pool: Pool | undefined

  constructor(config: ServerConfig, deps: TransportDeps) {
    this.#config = config
    this.#deps = deps
  }

  /** Reads the credentials and checks that TLS can use them; throws ConfigError. Does not touch the network. */
  async prepare(): Promise<void> {
    this.#poolFor(await this.#deps.credentials.current())
  }

  /** Resolves with the head of the answer; its body is still to be read. Rejects with errors of the layers below HTTP. */
  async open(request: WireRequest): Promise<WireAnswer> {
    const credential = await this.#deps.credentials.current()
    const pool = this.#poolFor(credential)
    const { promise, resolve, reject } = Promise.withResolvers<WireAnswer>()
    const outgoing = this.#start(request, pool)
    outgoing.on('response', (response) => resolve({ response, credential }))
    outgoing.on('error', (error) => {
      reject(outgoing.reusedSocket && !request.signal.aborted ? new StaleConnection('', { cause: error }) : error)
    })
    outgoing.on('socket', (socket) => this.#tend(socket))
    outgoing.end(request.body)
    return promise
  }

  /** What a WebSocket needs to be opened as `open` sends a request, on a connection of its own. Throws ConfigError. */
  async webSocketTo(path: string): Promise<WebSocketAccess> {
    const credential = await this.#deps.credentials.current()
    const { secureContext } = this.#poolFor(credential)
    const { protocol, hostname, port, path: fullPath, headers } = this.#target(path, credential)
    const host = hostname.includes(':') ? `[${hostname}]` : hostname
    return {
      url: `${protocol === 'https:' ? 'wss' : 'ws'}://${host}:${port}${fullPath}`,
      headers,
      credential,
      connect: () => {
        const place = { host: hostname, port, autoSelectFamilyAttemptTimeout: addressAttemptMs }
        // node:https gives the name itself
        const named = { ...place, servername: isIP(hostname) === 0 ? hostname : '' }
        const socket =
          secureContext === undefined ? connect(place) : connectTls({ ...named, ...this.#tlsOptions(secureContext) })
        this.#tend(socket)
        return socket
      },
    }
  }

  refused(credential: Credential): void {
    this.#deps.credentials.refused(credential)
  }

  /** Closes the connections that no request uses. */
  closeIdle(): void {
    if (this.#pool !== undefined) closeIdle(this.#pool.agent)
  }

  /** Closes idle connections; a connection in use is closed when its request ends. */
  close(): void {
    this.#pool?.agent.destroy()
  }

  /** Has a connection watched that requests use. */
  #tend(socket: Socket): void {
    socket.setKeepAlive(true, keepAliveAfterMs, keepAliveEveryMs, keepAliveProbes)
    socket.setNoDelay(true)
    if (socket.connecting) this.#watchConnecting(socket)
  }

  /** Makes a connection fail that is not established in time, and has it watched from then on. */
  #watchConnecting(socket: Socket): void {
    const { clock, limitSilence } = this.#deps
    const isTls = this.#config.server.protocol === 'https:'
    const expire = (what: string, limitMs: number): (() => void) =>
      clock.after(limitMs, () => {
        const error = new Error(`${what} took longer than ${limitMs / 1000} s`)
        socket.destroy(Object.assign(error, { code: 'ETIMEDOUT' }))
      })
    let cancel = expire('the connection', connectMs)
    const next = (what: string, limitMs: number): void => {
      cancel()
      cancel = expire(what, limitMs)
    }
    // of a name with several addresses, each gets its time
    socket.on('connectionAttempt', () => next('the connection', connectMs))
    socket.once('connect', () => {
      limitSilence?.(socket, maxSilenceMs)
      if (isTls) next('the TLS handshake', handshakeMs)
      else cancel()
    })
    socket.once('secureConnect', () => cancel())
    socket.once('close', () => cancel())
  }

  #target(path: string, { authorization }: Credential) {
    const { server } = this.#config
    const isTls = server.protocol === 'https:'
    return {
      protocol: server.protocol,
      hostname: server.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: server.port === '' ? (isTls ? 443 : 80) : Number(server.port),
      path: `${server.pathname.replace(/\/$/, '')}${path}`,
      headers: {
        host: server.host,
        // as client-go: a bearer token goes over TLS only
        ...(authorization !== undefined && isTls ? { authorization } : {}),
      },
    }
  }

  #start(request: WireRequest, pool: Pool): http.ClientRequest {
    const target = this.#target(request.path, pool.credential)
    const options: https.RequestOptions = {
      ...target,
      method: request.method,
      headers: { ...request.headers, ...target.headers },
      signal: request.signal,
      agent: request.connection === 'own' ? false : pool.agent,
      ...(request.connection === 'own' ? this.#socketOptions(pool.secureContext) : {}),
    }
    return target.protocol === 'https:' ? https.request(options) : http.request(options)
  }

  #poolFor(credential: Credential): Pool {
    if (this.#pool?.credential === credential) return this.#pool
    const secureContext = this.#config.server.protocol === 'https:' ? this.#secureContext(credential) : undefined
    const idle = { keepAlive: true, keepAliveMsecs: keepAliveAfterMs, maxFreeSockets: 4, timeout: idleCloseMs }
    const options = { ...idle, ...this.#socketOptions(secureContext) }
    const agent = secureContext === undefined ? new http.Agent(options) : new https.Agent(options)
    const previous = this.#pool
    this.#pool = { credential, secureContext, agent }
    // requests under way finish on the old connections; new requests must not use these, which carry the old client certificate
    if (previous !== undefined) retire(previous.agent)
    return this.#pool
  }

  #socketOptions(secureContext: SecureContext | undefined): https.AgentOptions {
    const common = { autoSelectFamilyAttemptTimeout: addressAttemptMs }
    return secureContext === undefined ? common : { ...common, ...this.#tlsOptions(secureContext) }
  }

  #tlsOptions(secureContext: SecureContext): ConnectionOptions {
    const { serverName, insecure } = this.#config
    return {
      secureContext,
      rejectUnauthorized: !insecure,
      ...(serverName === undefined ? {} : { servername: serverName }),
    }
  }

  #secureContext(credential: Credential): SecureContext {
    const { ca, cert, key } = credential.tls
    const fieldOf = (member: 'ca' | 'clientCert' | 'clientKey'): string =>
      this.#config[member]?.field ?? 'credential plugin'
    // one piece after the other, so that an error names the piece and not just "PEM routines"
    if (ca !== undefined) this.#check(credential, fieldOf('ca'), () => new X509Certificate(ca))
    if (cert !== undefined) this.#check(credential, fieldOf('clientCert'), () => new X509Certificate(cert))
    if (cert !== undefined && key !== undefined) {
      this.#check(credential, fieldOf('clientKey'), () => createSecureContext({ cert, key }))
    }
    return createSecureContext({
      minVersion: 'TLSv1.2',
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined || key === undefined ? {} : { cert, key }),
    })
  }

  #check(credential: Credential, field: string, use: () => unknown): void {
    try {
      use()
    } catch (error) {
      // a certificate and its key can be read in the middle of their rotation: read them again for the next request
      this.#deps.credentials.refused(credential)
      throw new ConfigError(`${field}: cannot be used for TLS: ${describe(error)}`)
    }
  }
}

function retire(agent: http.Agent): void {
  agent.maxFreeSockets = 0
  closeIdle(agent)
}

function closeIdle(agent: http.Agent): void {
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy()
}
