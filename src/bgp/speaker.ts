// A BGP speaker: peers by name, one listener for all of them, and the routes they bring. It composes; sessions are in session/, routes
// in rib/, sockets behind the Transport.
import { type Addr } from '#/lib/addr.ts'
import { type PeerConfig, type PeerStatus, type SpeakerConfig } from '#/model/bgp.ts'
import { CeaseSubcode, ErrorCode, notificationOf, shutdownNotification } from '#/wire/bgp/index.ts'
import { type Connection, type RouteSink, type Timer } from './contract.ts'
import { PortListener } from './port-listener.ts'
import { type SessionDeps } from './session/deps.ts'
import { Peer } from './session/peer.ts'
import { type SpeakerIdentity } from './session/deps.ts'
import { RoundRobin } from './session/round-robin.ts'

/** How long all peers together may hold up the event loop at a time. */
const roundMs = 5
/** Strangers' connections are logged at most so often: anybody can make many, and a line of the log is a message to another thread. */
const refusalPauseMs = 1_000
/** RFC 4724 section 4.1: peers that do not come back are not waited for longer than this, or than the longest restart time. */
const leastDeferralSeconds = 60

/** The RIB as a speaker needs it: sessions tell it of routes, and it gets the parts of the configuration that are about routes. */
export interface ConfigurableRoutes extends RouteSink {
  configure(config: SpeakerConfig): void
  /** RFC 4724 section 4.1: when the first configuration `isRestarting`, no End-of-RIB is sent before. */
  endDeferral(): void
  /** Calls back, on a later turn, once all that it was told so far is decided on, and told further. */
  whenDecided(call: () => void): void
}

export type SpeakerDeps = Omit<SessionDeps, 'routes' | 'random' | 'defer'> & {
  readonly rib: ConfigurableRoutes
  readonly random?: SessionDeps['random']
  readonly defer?: SessionDeps['defer']
  /** Once, on a later turn: every peer has sent End-of-RIB, or the deferral time is over, and what they sent is decided on. */
  readonly onReady?: () => void
  /** Whether any session is established, when that changes. */
  readonly onSessions?: ((hasAny: boolean) => void) | undefined
  /** Why neighbours cannot connect, when that changes; undefined: they can. */
  readonly onPortTrouble?: ((why: string | undefined) => void) | undefined
}

export class Speaker implements AsyncDisposable {
  readonly #deps: SpeakerDeps & Pick<SessionDeps, 'random' | 'defer'>
  readonly #turns: RoundRobin
  readonly #isRestarting: boolean
  readonly #peers = new Map<string, Peer>()
  /** Peers that are not configured any more, and whose connections are still being closed. */
  readonly #leaving = new Set<Peer>()
  readonly #listener: PortListener
  #config: SpeakerConfig
  #state: 'new' | 'running' | 'stopped' = 'new'
  #isReady = false
  #hasSession = false
  #refusalsQuietUntilMs = 0
  #deferral: Timer | undefined

  constructor(config: SpeakerConfig, deps: SpeakerDeps) {
    this.#config = config
    this.#isRestarting = config.isRestarting
    this.#deps = { random: Math.random, defer: (call) => void setImmediate(call), ...deps }
    this.#turns = new RoundRobin({ roundMs }, { defer: this.#deps.defer, nowMs: () => deps.clock.nowMs() })
    this.#listener = new PortListener({
      transport: deps.transport,
      clock: deps.clock,
      log: deps.log,
      onConnection: (connection) => this.#onConnection(connection),
      onOpen: () => this.#setPasswords(),
      onTrouble: deps.onPortTrouble,
    })
  }

  /** Listens and lets sessions begin. Where the port is taken, it is tried again and again, and peers are only connected to. */
  start(): void {
    if (this.#state !== 'new') return
    this.#listener.open(this.#config.listenPort)
    this.#state = 'running'
    this.configure(this.#config)
    this.#deferral = this.#deps.clock.after(this.#restartMs, () => this.#ready())
  }

  /** How long a restart may take, of this speaker or of a neighbour. */
  get #restartMs(): number {
    const restartTimes = this.#config.peers.map(({ gracefulRestart }) => gracefulRestart?.restartTimeSeconds ?? 0)
    return Math.max(leastDeferralSeconds, ...restartTimes) * 1000
  }

  /** Applies what is different: only sessions whose own settings changed are reset. */
  configure(config: SpeakerConfig): void {
    this.#config = config
    if (this.#state !== 'running') return
    // new policies are there before the first route of a new session
    this.#deps.rib.configure(config)
    const wanted = new Set(config.peers.map(({ name }) => name))
    for (const [name, peer] of this.#peers) if (!wanted.has(name)) this.#remove(name, peer)
    const fresh = config.peers.filter(({ name }) => !this.#peers.has(name))
    for (const peer of config.peers) this.#peers.get(peer.name)?.configure(peer, this.#identity())
    for (const peer of fresh) this.#peers.set(peer.name, this.#peerOf(peer))
    this.#listener.open(config.listenPort)
    this.#setPasswords()
    for (const { name } of fresh) this.#peers.get(name)?.start()
    this.#checkProgress()
  }

  /** In the order of the configuration. */
  peers(): readonly PeerStatus[] {
    return this.#config.peers.flatMap(({ name }) => this.#peers.get(name)?.status() ?? [])
  }

  /** `hard`: ends the session and begins anew. `soft`: asks for all routes again (RFC 2918). False: there is no such peer. */
  reset(peer: string, how: 'hard' | 'soft'): boolean {
    const found = this.#peers.get(peer)
    found?.reset(how)
    return found !== undefined
  }

  /**
   * `restart`: this node goes on forwarding, neighbours with graceful restart keep its routes (RFC 4724), and routes learned from them
   * stay as they are here. `shutdown`: they are told to let go of them, with `text` for their operators (RFC 9003). Resolves when all
   * connections are closed.
   */
  async stop(how: 'restart' | 'shutdown', text = ''): Promise<void> {
    if (this.#state === 'running') {
      if (how === 'restart') this.#deps.bfd?.rest(this.#restartMs)
      for (const peer of this.#peers.values()) {
        if (how === 'restart') peer.suspend(text)
        else peer.close(shutdownNotification(CeaseSubcode.shutdown, text))
      }
    }
    this.#state = 'stopped'
    this.#deferral?.cancel()
    this.#listener.close()
    await Promise.all([...this.#peers.values(), ...this.#leaving].map((peer) => peer.closed()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop('shutdown')
  }

  #identity(): SpeakerIdentity {
    const { routerId, localAddrs = [] } = this.#config
    return { routerId, localAddrs }
  }

  #peerOf(config: PeerConfig): Peer {
    const { rib, onReady: _, onPortTrouble: __, onSessions: ___, ...deps } = this.#deps
    return new Peer(config, this.#identity(), {
      ...deps,
      routes: rib,
      turns: this.#turns,
      isRestarting: () => this.#isRestarting && !this.#isReady,
      onProgress: () => this.#checkProgress(),
      onAddr: () => this.#setPasswords(),
    })
  }

  #remove(name: string, peer: Peer): void {
    this.#peers.delete(name)
    this.#leaving.add(peer)
    peer.close(notificationOf(ErrorCode.cease, CeaseSubcode.deconfigured))
    void peer.closed().then(() => this.#leaving.delete(peer))
  }

  #setPasswords(): void {
    this.#listener.passwords?.set(
      [...this.#peers.values()].flatMap(({ addr, config }) => {
        const isTaken = config.mode !== 'active' && config.password !== undefined
        return addr !== undefined && isTaken ? [{ addr, password: config.password }] : []
      }),
    )
  }

  #onConnection(connection: Connection): void {
    const { remoteAddr, device } = connection
    const peer = [...this.#peers.values()].find((each) => isFrom(each.config, remoteAddr, device))
    if (peer !== undefined && this.#isSigned(peer.config, remoteAddr)) return peer.accept(connection)
    connection.destroy()
    const { clock, log } = this.#deps
    const nowMs = clock.nowMs()
    if (nowMs < this.#refusalsQuietUntilMs) return
    this.#refusalsQuietUntilMs = nowMs + refusalPauseMs
    log.debug('refused a connection of no peer', { addr: remoteAddr, device })
  }

  /**
   * Whether the kernel has checked the signature that the peer's password asks for. It takes unsigned connections from an address that it
   * has no key for: it refused the key, or the address of an unnumbered peer was not known.
   */
  #isSigned({ password }: PeerConfig, remoteAddr: Addr): boolean {
    return password === undefined || this.#listener.passwords?.guards(remoteAddr, password) === true
  }

  #checkProgress(): void {
    const hasAny = this.#peers.values().some(({ hasSession }) => hasSession)
    if (hasAny !== this.#hasSession) this.#deps.onSessions?.(hasAny)
    this.#hasSession = hasAny
    this.#checkReady()
  }

  #checkReady(): void {
    const peers = [...this.#peers.values()]
    if (!peers.some(({ isAwaited }) => isAwaited)) this.#deps.rib.endDeferral()
    if (peers.every(({ isComplete }) => isComplete)) this.#ready()
  }

  #ready(): void {
    if (this.#isReady || this.#state !== 'running') return
    this.#isReady = true
    this.#deferral?.cancel()
    const { rib, onReady } = this.#deps
    rib.endDeferral()
    if (onReady !== undefined) rib.whenDecided(onReady)
  }
}

/** An unnumbered peer is whoever is at the other end of its device. */
function isFrom(config: PeerConfig, remoteAddr: Addr, device: string | undefined): boolean {
  if (config.addr === undefined) return remoteAddr.isLinkLocal && device === config.device
  return config.addr.equals(remoteAddr) && (!remoteAddr.isLinkLocal || device === config.device)
}
