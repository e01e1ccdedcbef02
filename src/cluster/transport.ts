// HTTP to one API server over node:https. Requests share kept-alive connections. Each watch gets a connection of its own, so that closing
// one watch does not affect another, and a stuck watch holds up no request.
import { X509Certificate } from 'node:crypto'
import http from 'node:http'
import https from 'node:https'
import { createSecureContext, type SecureContext } from 'node:tls'
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

/** A kept-alive connection turned out to be closed by the server before it took the request: safe to send again. */
export class StaleConnection extends Error {
  override name = 'StaleConnection'
}

type Pool = {
  readonly credential: Credential
  readonly secureContext: SecureContext | undefined
  readonly agent: http.Agent
}

// Linux then probes once a second, ten times (libuv): a peer that is gone is noticed within 25 s, quiet or not.
const keepAliveAfterMs = 15_000
// Below the idle timeouts of API servers and load balancers, so that this side closes idle connections first.
const idleCloseMs = 30_000
// node:net gives an address only 250 ms before it tries the next; that is less than one lost SYN costs.
const addressAttemptMs = 2_000

export class Transport {
  readonly #config: ServerConfig
  readonly #credentials: CredentialSource
  #pool: Pool | undefined

  constructor(config: ServerConfig, deps: { credentials: CredentialSource }) {
    this.#config = config
    this.#credentials = deps.credentials
  }

  /** Reads the credentials and checks that TLS can use them; throws ConfigError. Does not touch the network. */
  async prepare(): Promise<void> {
    this.#poolFor(await this.#credentials.current())
  }

  /** Resolves with the head of the answer; its body is still to be read. Rejects with errors of the layers below HTTP. */
  async open(request: WireRequest): Promise<WireAnswer> {
    const credential = await this.#credentials.current()
    const pool = this.#poolFor(credential)
    const { promise, resolve, reject } = Promise.withResolvers<WireAnswer>()
    const outgoing = this.#start(request, pool)
    outgoing.on('response', (response) => resolve({ response, credential }))
    outgoing.on('error', (error) => {
      reject(outgoing.reusedSocket && !request.signal.aborted ? new StaleConnection('', { cause: error }) : error)
    })
    outgoing.on('socket', (socket) => {
      socket.setKeepAlive(true, keepAliveAfterMs)
      socket.setNoDelay(true)
    })
    outgoing.end(request.body)
    return promise
  }

  refused(credential: Credential): void {
    this.#credentials.refused(credential)
  }

  /** Closes idle connections; a connection in use is closed when its request ends. */
  close(): void {
    this.#pool?.agent.destroy()
  }

  #start(request: WireRequest, pool: Pool): http.ClientRequest {
    const { server } = this.#config
    const isTls = server.protocol === 'https:'
    const { authorization } = pool.credential
    const options: https.RequestOptions = {
      method: request.method,
      hostname: server.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: server.port === '' ? (isTls ? 443 : 80) : server.port,
      path: `${server.pathname.replace(/\/$/, '')}${request.path}`,
      headers: {
        ...request.headers,
        host: server.host,
        // as client-go: a bearer token goes over TLS only
        ...(authorization !== undefined && isTls ? { authorization } : {}),
      },
      signal: request.signal,
      agent: request.connection === 'own' ? false : pool.agent,
      ...(request.connection === 'own' ? this.#socketOptions(pool.secureContext) : {}),
    }
    return isTls ? https.request(options) : http.request(options)
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
    const { serverName, insecure } = this.#config
    const common = { autoSelectFamilyAttemptTimeout: addressAttemptMs }
    if (secureContext === undefined) return common
    return {
      ...common,
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
      this.#credentials.refused(credential)
      throw new ConfigError(`${field}: cannot be used for TLS: ${describe(error)}`)
    }
  }
}

function retire(agent: http.Agent): void {
  agent.maxFreeSockets = 0
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy()
}
