// One peer: what the state machine wants done is done here, with connections, timers and routes, and what they tell becomes its events.
import { type Addr } from '#/lib/addr.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type PeerConfig, type PeerStatus } from '#/model/bgp.ts'
import {
  type BgpError,
  type BgpMessage,
  CeaseSubcode,
  encodeKeepalive,
  encodeNotification,
  encodeOpen,
  encodeRefresh,
  ErrorCode,
  hardReset,
  type Notification,
  notificationOf,
  notificationText,
  type Open,
  shutdownNotification,
} from '#/wire/bgp/index.ts'
import { type Connection, type Timer } from '../contract.ts'
import { type DownCause, type FsmAction, FsmRunner, type FsmSettings, isCollision, nameOf } from '../fsm/index.ts'
import { Containment } from './containment.ts'
import { Connector } from './connector.ts'
import { type SessionDeps } from './deps.ts'
import { endOf } from './end.ts'
import { EstablishedSession } from './established.ts'
import { Link, type LinkHandlers } from './link.ts'
import { judgeOpen, openOf } from './open.ts'
import { sameNeighbour, sameSession, sameValue, ttlOptions } from './peer-settings.ts'
import { PrefixLimit } from './prefix-limit.ts'
import { RestartHelper } from './restart-helper.ts'
import { Retry } from './retry.ts'
import { statusOf } from './status.ts'
import { type RoundRobin } from './round-robin.ts'
import { closeOf, errorsOf } from './words.ts'

/** RFC 9687 section 3.2: the greater of eight minutes and twice the hold time. */
const leastSendHoldSeconds = 480
/** A peer whose connections come to nothing, or to sessions that are over at once, may begin one so often. */
const acceptPauseMs = 1_000
/** A connection that comes so soon after a session began was on its way before. */
const lateCollisionMs = 2_000

/** After a session of this length faults are counted anew. */
const faultFreeMs = 600_000

/** What is the speaker's own, the same for all peers. */
export type SpeakerIdentity = {
  readonly routerId: Addr
  readonly localAddrs: readonly Addr[]
}

export type PeerDeps = SessionDeps & {
  readonly turns: Pick<RoundRobin, 'add'>
  /** This speaker has restarted, the kernel kept forwarding meanwhile, and peers may still wait for it (RFC 4724). */
  readonly isRestarting: () => boolean
  /** `isComplete` or `isAwaited` may be different. */
  readonly onProgress: () => void
  /** The address of a peer that has none configured was found. */
  readonly onAddr: () => void
}

type LinkAction = Extract<FsmAction, { id: number; kind: `s${string}` | 'touchHold' | 'drop' }>

export class Peer {
  readonly #deps: PeerDeps
  readonly #containment: Containment
  readonly #faultRetry: Retry
  readonly #log: Logger
  readonly #helper: RestartHelper
  readonly #limit: PrefixLimit
  readonly #connector: Connector
  readonly #handlers: LinkHandlers
  #config: PeerConfig
  #identity: SpeakerIdentity

  readonly #fsm: FsmRunner
  #sinceMs: number

  /** Also those that are being closed. */
  readonly #links = new Map<number, Link>()
  #nextId = 1
  #acceptFromMs = 0
  /** Of a session that was closed for sending too much. */
  #restartTimer: Timer | undefined

  #session: EstablishedSession | undefined
  /** How long the last one had lasted. */
  #lastedMs = 0
  #flaps = 0
  #wasEstablished = false
  #isComplete = false
  #isSuspended = false
  #isClosed = false
  /** The notification that is about to be sent, when there is more to say of it than its name. */
  #sent: string | undefined
  #lastError: string | undefined
  /** Of the last session, until there is another: attempts that fail since do not hide it. */
  #endedBecause: string | undefined
  readonly #whenClosed: (() => void)[] = []

  constructor(config: PeerConfig, identity: SpeakerIdentity, deps: PeerDeps) {
    this.#config = config
    this.#identity = identity
    const containment = new Containment((error) => this.#fault(error))
    this.#containment = containment
    deps = {
      ...deps,
      clock: containment.clock(deps.clock),
      turns: containment.turns(deps.turns),
      ...(deps.bfd && { bfd: containment.bfd(deps.bfd) }),
    }
    this.#deps = deps
    this.#faultRetry = new Retry(deps)
    const log = deps.log.with({ peer: config.name })
    this.#log = log
    this.#sinceMs = deps.clock.wallMs()
    this.#helper = new RestartHelper({ peer: config.name }, { ...deps, log })
    this.#limit = new PrefixLimit({ log })
    this.#connector = new Connector({
      ...deps,
      onConnected: (connection) => this.#fsm.handle({ kind: 'connected', id: this.#adopt(connection).id }),
      onFailed: (why) => {
        this.#lastError = why
        this.#fsm.handle({ kind: 'connectFailed' })
      },
      onRetryDue: () => this.#fsm.handle({ kind: 'retryDue' }),
      onFault: (error) => this.#fault(error),
    })
    this.#fsm = new FsmRunner({
      settings: () => this.#fsmSettings(),
      perform: (action) => this.#perform(action),
      onDone: (before, after) => {
        this.#sent = undefined
        if (before === after) return
        if (before === 'Established') this.#endedBecause = this.#lastError
        if (after === 'Established') this.#endedBecause = undefined
        this.#sinceMs = deps.clock.wallMs()
        log.debug('session state', { from: before, to: after })
      },
    })
    this.#handlers = {
      onMessage: (link, message) => this.#onMessage(link, message),
      onMalformed: (link, error) => this.#onMalformed(link, error),
      onClosed: (link, error) => this.#onClosed(link, error),
      onTimer: (link, kind) => this.#fsm.handle({ kind, id: link.id }),
      onTurnEnd: (link) => this.#checkLimit(link),
      onDrain: () => this.#session?.drained(),
      onGone: (link) => this.#onGone(link),
    }
  }

  get config(): PeerConfig {
    return this.#config
  }

  /** Where it is reached, as far as that is known. */
  get addr(): Addr | undefined {
    return this.#config.addr ?? this.#connector.linkLocal
  }

  /** Nothing is to be waited for: it has sent all it has, or there can be no session. */
  get isComplete(): boolean {
    return this.#isComplete || this.#config.blockedBecause !== undefined
  }

  /**
   * RFC 4724 section 4.1: our own End-of-RIB waits for its. Those that restart as well, or know nothing of End-of-RIB, are not
   * waited for: else two that restart wait for each other.
   */
  get isAwaited(): boolean {
    const theirs = this.#session?.negotiated.remote.capabilities
    const isExempt = theirs !== undefined && theirs.gracefulRestart?.isRestarting !== false
    return !this.isComplete && !isExempt
  }

  start(): void {
    this.#containment.run(() => this.#start())
  }

  #start(): void {
    const { blockedBecause } = this.#config
    this.#restartTimer?.cancel()
    if (blockedBecause === undefined) return this.#fsm.handle({ kind: 'start' })
    // that it ended the session too is no news
    this.#endedBecause = undefined
    this.#lastError = blockedBecause
  }

  /** A connection from its address: refused, or the peer's from here on. */
  accept(connection: Connection): void {
    this.#containment.run(() => this.#accept(connection))
  }

  #accept(connection: Connection): void {
    const nowMs = this.#deps.clock.nowMs()
    const isWanted = this.#config.mode !== 'active' && this.#fsm.state.isRunning && nowMs >= this.#acceptFromMs
    // else it would be taken for the restart of a peer that did no more than to connect when we did (RFC 4271 section 6.8)
    const { negotiated, sinceMs = 0 } = this.#session ?? {}
    const isLate = negotiated?.restart !== undefined && nowMs - sinceMs < lateCollisionMs
    if (!isWanted || isLate) return connection.destroy()
    this.#acceptFromMs = nowMs + acceptPauseMs
    try {
      connection.setTtl(ttlOptions(this.#config))
    } catch (error) {
      this.#lastError = `refused a connection from the peer: ${messageOf(error)}`
      return connection.destroy()
    }
    this.#fsm.handle({ kind: 'accepted', id: this.#adopt(connection).id })
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
    if (goesOn && !sameValue(before.bfd, config.bfd)) this.#session?.watch(config.bfd)
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
    const session = this.#session
    if (session === undefined || !session.negotiated.remote.capabilities.routeRefresh) return
    for (const family of session.negotiated.wire.families)
      session.link.write(encodeRefresh({ family, kind: 'request' }))
  }

  /** For good: it is told so, and its routes go. */
  close(notification: Notification): void {
    this.#isClosed = true
    this.#containment.run(() => this.#end(notification, true))
    // a fault on the way must not bring it back
    this.#restartTimer?.cancel()
  }

  /**
   * Until this speaker is back: with graceful restart TCP just ends, and the peer keeps our routes; without, it is told. Its own
   * routes are left here as they are.
   */
  suspend(text: string): void {
    this.#containment.run(() => this.#suspend(text))
    this.#restartTimer?.cancel()
  }

  #suspend(text: string): void {
    this.#isSuspended = true
    this.#helper.freeze()
    const isKept = this.#session?.negotiated.restart !== undefined
    this.#end(isKept ? undefined : shutdownNotification(CeaseSubcode.reset, text), false)
  }

  /** Resolves when no connection is left; after `close` or `suspend`. */
  async closed(): Promise<void> {
    if (this.#links.size > 0) await new Promise<void>((resolve) => this.#whenClosed.push(resolve))
  }

  status(): PeerStatus {
    return statusOf({
      config: this.#config,
      addr: this.addr,
      state: nameOf(this.#fsm.state),
      sinceMs: this.#sinceMs,
      session: this.#session,
      isHelping: this.#helper.isHelping,
      isRestarting: this.#deps.isRestarting() && !this.#isComplete,
      counts: this.#deps.routes.counts(this.#config.name),
      flaps: this.#flaps,
      lastError: errorsOf(this.#lastError, this.#endedBecause),
    })
  }

  /** `isHard`: no routes are kept, neither of this session nor of one before. */
  #end(notification: Notification | undefined, isHard: boolean): void {
    this.#restartTimer?.cancel()
    this.#fsm.handle({ kind: 'stop', ...(notification && { notification }), isHard })
    if (isHard) this.#helper.clear()
  }

  /**
   * A fault in this program, met on behalf of this peer: its session ends with Cease, and another is tried after a pause that grows with
   * each fault in a row. No routes are kept, because nobody knows how far the work on them had come.
   */
  #fault(error: unknown): void {
    const why = `a fault in this speaker ended the session: ${messageOf(error)}`
    this.#log.error('a fault in this speaker ended the session with a peer', { error: messageOf(error) })
    const sinceMs = this.#session?.sinceMs
    const lastedMs = sinceMs === undefined ? 0 : this.#deps.clock.nowMs() - sinceMs
    if (lastedMs > faultFreeMs) this.#faultRetry.reset()
    try {
      const cease = notificationOf(ErrorCode.cease)
      this.#end(cease, true)
      // the fault may have come between the end of a session and that of its connection
      for (const link of this.#links.values()) link.drop(encodeNotification(cease))
    } catch (another) {
      this.#log.error('and so did ending it', { error: messageOf(another) })
      this.#abandon()
    }
    this.#lastError = why
    this.#endedBecause = undefined
    if (this.#isSuspended || this.#isClosed) return
    const pauseMs = this.#faultRetry.delayMs('refused', this.#config.timers.connectRetrySeconds)
    this.#restartTimer = this.#deps.clock.after(pauseMs, () => this.#start())
  }

  /** Leaves everything that a session in order would have ended step by step. */
  #abandon(): void {
    this.#fsm.reset()
    this.#connector.abort()
    this.#connector.stopRetry()
    this.#session?.[Symbol.dispose]()
    this.#session = undefined
    for (const link of this.#links.values()) {
      try {
        link.destroy()
      } catch (error) {
        this.#log.error('a connection cannot be closed', { error: messageOf(error) })
      }
      this.#onGone(link)
    }
  }

  #fsmSettings(): FsmSettings {
    const { localAsn: asn, mode } = this.#config
    return { routerId: this.#identity.routerId, asn, connects: mode !== 'passive' }
  }

  #perform(action: FsmAction): void {
    switch (action.kind) {
      case 'connect':
        return this.#connector.connect(this.#config)
      case 'abortConnect':
        return this.#connector.abort()
      case 'startRetry':
        return this.#connector.startRetry(action.after, this.#config, this.#lastedMs)
      case 'stopRetry':
        return this.#connector.stopRetry()
      case 'established':
        return this.#established(action.id)
      case 'down':
        return this.#down(action.cause)
      default: {
        const link = this.#links.get(action.id)
        if (link !== undefined) this.#performOn(link, action)
      }
    }
  }

  #performOn(link: Link, action: LinkAction): void {
    switch (action.kind) {
      case 'sendOpen':
        link.write(encodeOpen(openOf(this.#config, this.#terms(link))))
        return
      case 'sendKeepalive':
        link.write(encodeKeepalive())
        return
      case 'setHold':
        return link.setHold(action.seconds)
      case 'setKeepalive':
        return link.setKeepalive(action.seconds)
      case 'touchHold':
        return link.touchHold()
      case 'drop':
        return this.#drop(link, action)
    }
  }

  #terms({ connection }: Link): Parameters<typeof openOf>[1] {
    const isFirst = !this.#wasEstablished
    const isRestarting = this.#deps.isRestarting()
    return {
      routerId: this.#identity.routerId,
      isOverIpv6: connection.remoteAddr.family === 6,
      isRestarting: isRestarting && isFirst,
      // when only a session was lost, nothing here stopped forwarding
      keptForwarding: isRestarting || !isFirst,
    }
  }

  #drop(link: Link, { notification, isHard }: LinkAction & { kind: 'drop' }): void {
    if (notification === undefined) return link.drop()
    if (!isCollision(notification)) this.#fail(`we sent ${this.#sent ?? notificationText(notification)}`)
    // its restart terms are there when both sides have the N bit: ours always has
    const isWrapped = isHard === true && link.negotiated?.restart?.onNotification === true
    link.drop(encodeNotification(isWrapped ? hardReset(notification) : notification))
  }

  #fail(why: string): void {
    this.#lastError = why
    this.#log.warn('session ended', { why })
  }

  #established(id: number): void {
    const link = this.#links.get(id)
    const negotiated = link?.negotiated
    if (link === undefined || negotiated === undefined) return
    const { clock, routes, bfd, defer, localAddrsOf } = this.#deps
    const { restart, remote, wire } = negotiated
    const { localAddr, device } = link.connection
    this.#acceptFromMs = 0
    this.#connector.succeeded()
    this.#limit.reset()
    link.setSendHold(Math.max(leastSendHoldSeconds, 2 * negotiated.holdTimeSeconds))
    const stalePathTimeSeconds = this.#config.gracefulRestart?.stalePathTimeSeconds ?? 0
    this.#helper.sessionUp(remote.capabilities, restart?.families ?? [], stalePathTimeSeconds)
    const localAddrs = [...(localAddrsOf?.(localAddr, device) ?? []), ...this.#identity.localAddrs]
    this.#log.info('session established', { addr: link.connection.remoteAddr, families: wire.families })
    this.#wasEstablished = true
    this.#session = new EstablishedSession(
      { config: this.#config, link, outlet: this.#containment.outlet(link, defer), negotiated, localAddrs },
      {
        routes,
        bfd,
        log: this.#log,
        nowMs: () => clock.nowMs(),
        onBfdDown: () => this.#fsm.handle({ kind: 'bfdDown', id }),
        onEndOfRib: (family) => {
          this.#helper.endOfRib(family)
          this.#checkComplete()
        },
      },
    )
    this.#deps.onProgress()
  }

  #checkComplete(): void {
    if (this.#isComplete || this.#session?.hasEverything !== true) return
    this.#isComplete = true
    this.#deps.onProgress()
  }

  #down(cause: DownCause): void {
    const session = this.#session
    if (session === undefined) return
    const { routes, clock } = this.#deps
    const { restart, wire } = session.negotiated
    session[Symbol.dispose]()
    this.#session = undefined
    this.#flaps++
    const nowMs = clock.nowMs()
    this.#lastedMs = nowMs - session.sinceMs
    if (this.#lastedMs < acceptPauseMs) this.#acceptFromMs = nowMs + acceptPauseMs
    if (this.#isSuspended) return routes.down(session.neighbour, { kind: 'restarting', families: wire.families })
    const end = endOf(cause, restart)
    this.#helper.sessionDown(end, restart)
    routes.down(session.neighbour, end)
    if (cause.kind === 'replaced') this.#fail('the peer came back on a new connection: it has restarted')
    const pauseSeconds = this.#config.maxPrefixes?.restartSeconds
    if (cause.kind === 'maxPrefixes' && pauseSeconds !== undefined)
      this.#restartTimer = clock.after(pauseSeconds * 1000, () => this.start())
  }

  #adopt(connection: Connection): Link {
    const { clock, turns, random } = this.#deps
    const contain = (call: () => void): void => this.#containment.run(call)
    const link = new Link(
      { id: this.#nextId++, connection },
      { clock, turns, random, contain, handlers: this.#handlers },
    )
    this.#links.set(link.id, link)
    return link
  }

  #onMessage(link: Link, message: BgpMessage): void {
    const { id } = link
    switch (message.kind) {
      case 'open':
        return this.#onOpen(link, message.open)
      case 'notification': {
        const { notification } = message
        if (!isCollision(notification)) this.#fail(`the peer sent ${notificationText(notification)}`)
        return this.#fsm.handle({ kind: 'notified', id, notification })
      }
      default:
        this.#fsm.handle({ kind: message.kind, id })
        // a message that has no place in the state has ended the session
        if (this.#session?.link === link) this.#session.deliver(message)
    }
  }

  #onOpen(link: Link, open: Open): void {
    const { id } = link
    if (link.negotiated === undefined) {
      const verdict = judgeOpen(this.#config, this.#terms(link), open)
      if (verdict.kind === 'refused') {
        const { notification, why } = verdict
        this.#sent = `${notificationText(notification)}: ${why}`
        return this.#fsm.handle({ kind: 'openRefused', id, notification })
      }
      link.negotiated = verdict.negotiated
    }
    const { remote, holdTimeSeconds, keepaliveSeconds, restart } = link.negotiated
    const { asn, routerId } = remote
    const keepsRoutes = restart !== undefined && restart.families.length > 0
    this.#fsm.handle({ kind: 'opened', id, agreed: { routerId, asn, holdTimeSeconds, keepaliveSeconds, keepsRoutes } })
  }

  #onMalformed(link: Link, error: BgpError): void {
    this.#sent = error.message
    this.#fsm.handle({ kind: 'malformed', id: link.id, notification: error.notification })
  }

  #onClosed(link: Link, error: Error | undefined): void {
    const { connections } = this.#fsm.state
    // of several that collide, those that the peer gives up say nothing
    if (connections.length === 1) this.#fail(closeOf(this.#config, connections[0]?.phase, error))
    this.#fsm.handle({ kind: 'closed', id: link.id })
    link.drop()
  }

  #onGone(link: Link): void {
    this.#links.delete(link.id)
    if (this.#links.size === 0) for (const resolve of this.#whenClosed.splice(0)) resolve()
  }

  #checkLimit(link: Link): void {
    const { name, maxPrefixes } = this.#config
    if (maxPrefixes === undefined || this.#session?.link !== link) return
    const problem = this.#limit.check(maxPrefixes, this.#deps.routes.counts(name).received)
    if (problem === undefined) return
    this.#sent = `Cease: ${problem}`
    this.#fsm.handle({ kind: 'maxPrefixes', id: link.id })
  }
}
