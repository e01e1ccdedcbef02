// One peer, from its configuration to a session: whether there is to be one, under which settings, and when it is tried again. The
// sessions themselves are run by session-driver.ts.
import { type Addr } from '#/lib/addr.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type PeerConfig, type PeerStatus } from '#/model/bgp.ts'
import { CeaseSubcode, encodeRefresh, ErrorCode, type Notification, notificationOf } from '#/wire/bgp/index.ts'
import { type Connection, type Timer } from '../contract.ts'
import { type DownCause } from '../fsm/index.ts'
import { Containment } from './containment.ts'
import { type SessionDeps, type SpeakerIdentity } from './deps.ts'
import { History } from './history.ts'
import { sameNeighbour, sameSession, sameValue, ttlOptions } from './peer-settings.ts'
import { Retry } from './retry.ts'
import { SessionDriver, type SessionDriverDeps } from './session-driver.ts'
import { statusOf } from './status.ts'

/** A peer whose connections come to nothing, or to sessions that are over at once, may begin one so often. */
const acceptPauseMs = 1_000
/** A connection that comes so soon after a session began was on its way before. */
const lateCollisionMs = 2_000

/** After a session of this length faults are counted anew. */
const faultFreeMs = 600_000

export type PeerDeps = SessionDeps &
  Pick<SessionDriverDeps, 'turns' | 'isRestarting' | 'onAddr'> & {
    /** `isComplete`, `isAwaited` or `hasSession` may be different. */
    readonly onProgress: () => void
  }

export class Peer {
  readonly #deps: PeerDeps
  readonly #containment: Containment
  readonly #faultRetry: Retry
  readonly #log: Logger
  readonly #history: History
  readonly #driver: SessionDriver
  #config: PeerConfig
  #identity: SpeakerIdentity
  #acceptFromMs = 0
  /** Runs after a session that was closed for sending too much, and after a fault. */
  #restartTimer: Timer | undefined
  #pause: PeerStatus['pause']
  /** Closed or suspended: no session begins again. */
  #isOver = false

  constructor(config: PeerConfig, identity: SpeakerIdentity, deps: PeerDeps) {
    this.#config = config
    this.#identity = identity
    const onFault = (error: unknown): void => this.#fault(error)
    const containment = new Containment(onFault)
    this.#containment = containment
    deps = {
      ...deps,
      log: deps.log.with({ peer: config.name }),
      clock: containment.clock(deps.clock),
      turns: containment.turns(deps.turns),
      ...(deps.bfd && { bfd: containment.bfd(deps.bfd) }),
    }
    this.#deps = deps
    this.#log = deps.log
    this.#faultRetry = new Retry(deps)
    this.#history = new History(deps)
    this.#driver = new SessionDriver({
      ...deps,
      containment,
      onFault,
      history: this.#history,
      config: () => this.#config,
      identity: () => this.#identity,
      onEstablished: () => {
        this.#acceptFromMs = 0
      },
      onDown: (cause, lastedMs) => this.#down(cause, lastedMs),
    })
  }

  get config(): PeerConfig {
    return this.#config
  }

  /** Where it is reached, as far as that is known. */
  get addr(): Addr | undefined {
    return this.#config.addr ?? this.#driver.linkLocal
  }

  get hasSession(): boolean {
    return this.#driver.session !== undefined
  }

  /** Nothing is to be waited for: it has sent all it has, or there can be no session. */
  get isComplete(): boolean {
    return this.#driver.isComplete || this.#config.blockedBecause !== undefined
  }

  /**
   * RFC 4724 section 4.1: our own End-of-RIB waits for its. Those that restart as well, or know nothing of End-of-RIB, are not
   * waited for: else two that restart wait for each other.
   */
  get isAwaited(): boolean {
    const theirs = this.#driver.session?.negotiated.remote.capabilities
    const isExempt = theirs !== undefined && theirs.gracefulRestart?.isRestarting !== false
    return !this.isComplete && !isExempt
  }

  start(): void {
    this.#containment.run(() => this.#start())
  }

  #start(): void {
    const { blockedBecause } = this.#config
    this.#restartTimer?.cancel()
    this.#pause = undefined
    if (blockedBecause === undefined) this.#driver.start()
    else this.#history.noteAlone(blockedBecause)
  }

  /** A connection from its address: refused, or the peer's from here on. */
  accept(connection: Connection): void {
    this.#containment.run(() => this.#accept(connection))
  }

  #accept(connection: Connection): void {
    const nowMs = this.#deps.clock.nowMs()
    const isWanted = this.#config.mode !== 'active' && this.#driver.isRunning && nowMs >= this.#acceptFromMs
    // else it would be taken for the restart of a peer that did no more than to connect when we did (RFC 4271 section 6.8)
    const { negotiated, sinceMs = 0 } = this.#driver.session ?? {}
    const isLate = negotiated?.restart !== undefined && nowMs - sinceMs < lateCollisionMs
    if (!isWanted || isLate) return connection.destroy()
    this.#acceptFromMs = nowMs + acceptPauseMs
    try {
      connection.setTtl(ttlOptions(this.#config))
    } catch (error) {
      this.#history.note(`refused a connection from the peer: ${messageOf(error)}`)
      return connection.destroy()
    }
    this.#driver.accept(connection)
  }

  /** Ends the session only where it cannot go on under the new configuration. */
  configure(config: PeerConfig, identity: SpeakerIdentity): void {
    this.#containment.run(() => this.#configure(config, identity))
  }

  #configure(config: PeerConfig, identity: SpeakerIdentity): void {
    const before = this.#config
    const goesOn = sameSession(before, config) && identity.routerId.equals(this.#identity.routerId)
    if (!goesOn) {
      const keepsRoutes = config.gracefulRestart !== undefined && config.blockedBecause === undefined
      const isHard = !keepsRoutes || !sameNeighbour(before, config)
      this.#end(notificationOf(ErrorCode.cease, CeaseSubcode.otherChange), isHard)
    }
    this.#config = config
    this.#identity = identity
    if (goesOn && !sameValue(before.bfd, config.bfd)) this.#driver.watch(config.bfd)
    if (!goesOn || !sameValue(before.maxPrefixes, config.maxPrefixes)) this.start()
  }

  /** `soft` does nothing where the peer cannot, or is not there. */
  reset(how: 'hard' | 'soft'): void {
    this.#containment.run(() => this.#reset(how))
  }

  #reset(how: 'hard' | 'soft'): void {
    if (how === 'hard') {
      this.#end(notificationOf(ErrorCode.cease, CeaseSubcode.reset), true)
      return this.start()
    }
    const { session } = this.#driver
    if (session === undefined || !session.negotiated.remote.capabilities.routeRefresh) return
    for (const family of session.negotiated.wire.families)
      session.link.write(encodeRefresh({ family, kind: 'request' }))
  }

  /** For good: the peer is told so, and its routes go. */
  close(notification: Notification): void {
    this.#isOver = true
    this.#containment.run(() => this.#end(notification, true))
  }

  /**
   * Until this speaker is back: with graceful restart TCP just ends, and the peer keeps our routes; without, it is told `text`. The
   * peer's own routes are left here as they are.
   */
  suspend(text: string): void {
    this.#isOver = true
    this.#restartTimer?.cancel()
    this.#containment.run(() => this.#driver.suspend(text))
  }

  /** Resolves when no connection is left; after `close` or `suspend`. */
  async closed(): Promise<void> {
    await this.#driver.closed()
  }

  status(): PeerStatus {
    return statusOf({
      config: this.#config,
      addr: this.addr,
      state: this.#driver.state,
      sinceMs: this.#history.sinceMs,
      session: this.#driver.session,
      isHelping: this.#driver.isHelping,
      isRestarting: this.#deps.isRestarting() && !this.#driver.isComplete,
      counts: this.#deps.routes.counts(this.#config.name),
      flaps: this.#history.flaps,
      pause: this.#driver.isRunning ? undefined : this.#pause,
      faults: this.#history.faults,
      lastError: this.#history.lastError,
    })
  }

  /** `isHard`: no routes are kept, neither of this session nor of one before. */
  #end(notification: Notification, isHard: boolean): void {
    this.#restartTimer?.cancel()
    this.#driver.stop(notification, isHard)
  }

  #down(cause: DownCause, lastedMs: number): void {
    if (lastedMs < acceptPauseMs) this.#acceptFromMs = this.#deps.clock.nowMs() + acceptPauseMs
    if (cause.kind !== 'maxPrefixes') return
    const pauseSeconds = this.#config.maxPrefixes?.restartSeconds
    if (pauseSeconds === undefined) this.#pause = {}
    else this.#startAfter(pauseSeconds * 1000)
  }

  #startAfter(pauseMs: number): void {
    this.#restartTimer?.cancel()
    if (this.#isOver) return
    const { clock } = this.#deps
    this.#pause = { untilMs: clock.wallMs() + pauseMs }
    this.#restartTimer = clock.after(pauseMs, () => this.#start())
  }

  /**
   * A fault in this program, met on behalf of this peer: its session ends with Cease, and another is tried after a pause that grows with
   * each fault in a row. No routes are kept, because nobody knows how far the work on them had come.
   */
  #fault(error: unknown): void {
    const why = `a fault in this speaker ended the session: ${messageOf(error)}`
    this.#log.error('a fault in this speaker ended the session with a peer', { error: messageOf(error) })
    const sinceMs = this.#driver.session?.sinceMs
    const lastedMs = sinceMs === undefined ? 0 : this.#deps.clock.nowMs() - sinceMs
    if (lastedMs > faultFreeMs) this.#faultRetry.reset()
    this.#driver.breakOff(notificationOf(ErrorCode.cease))
    this.#history.noteAlone(why)
    this.#startAfter(this.#faultRetry.delayMs('refused', this.#config.timers.connectRetrySeconds))
  }
}
