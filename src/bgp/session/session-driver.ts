// Sessions with one peer: what its state machine wants done is done here, with connections, timers and routes, and what these tell
// becomes the machine's events. Whether there is to be a session at all is decided by the peer (peer.ts).
import { type Addr } from '#/lib/addr.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type BfdSettings, type PeerConfig, type SessionState } from '#/model/bgp.ts'
import {
  type BgpError,
  type BgpMessage,
  CeaseSubcode,
  encodeKeepalive,
  encodeNotification,
  encodeOpen,
  hardReset,
  type Notification,
  notificationText,
  type Open,
  shutdownNotification,
} from '#/wire/bgp/index.ts'
import { type Connection } from '../contract.ts'
import { type DownCause, type FsmAction, FsmRunner, isCollision, nameOf } from '../fsm/index.ts'
import { Connector } from './connector.ts'
import { type Containment } from './containment.ts'
import { type SessionDeps, type SpeakerIdentity } from './deps.ts'
import { endOf } from './end.ts'
import { EstablishedSession } from './established.ts'
import { type History } from './history.ts'
import { type Link } from './link.ts'
import { LinkSet } from './link-set.ts'
import { judgeOpen, openOf } from './open.ts'
import { PrefixLimit } from './prefix-limit.ts'
import { RestartHelper } from './restart-helper.ts'
import { type RoundRobin } from './round-robin.ts'
import { closeOf } from './words.ts'

/** RFC 9687 section 3.2: the greater of eight minutes and twice the hold time. */
const leastSendHoldSeconds = 480

/** `clock`, `turns` and `bfd` are those of `containment`. */
export type SessionDriverDeps = SessionDeps & {
  readonly turns: Pick<RoundRobin, 'add'>
  readonly containment: Containment
  /** Handles an exception that was met on behalf of this peer. */
  readonly onFault: (error: unknown) => void
  readonly log: Logger
  readonly history: History
  readonly config: () => PeerConfig
  readonly identity: () => SpeakerIdentity
  /** This speaker has restarted, the kernel kept forwarding meanwhile, and peers may still wait for it (RFC 4724). */
  readonly isRestarting: () => boolean
  /** A session was established, or the peer has sent all that it has. */
  readonly onProgress: () => void
  /** The address of a peer that has none configured was found. */
  readonly onAddr: () => void
  readonly onEstablished: () => void
  /** An established session has ended, after so long. */
  readonly onDown: (cause: DownCause, lastedMs: number) => void
}

type LinkAction = Extract<FsmAction, { id: number; kind: `s${string}` | 'touchHold' | 'drop' }>

export class SessionDriver {
  readonly #deps: SessionDriverDeps
  readonly #history: History
  readonly #helper: RestartHelper
  readonly #limit: PrefixLimit
  readonly #connector: Connector
  readonly #links: LinkSet
  readonly #fsm: FsmRunner
  #session: EstablishedSession | undefined
  /** How long the last one had lasted. */
  #lastedMs = 0
  #wasEstablished = false
  #isComplete = false
  #isSuspended = false

  constructor(deps: SessionDriverDeps) {
    const { clock, log, routes, turns, random, containment, history, config } = deps
    this.#deps = deps
    this.#history = history
    this.#helper = new RestartHelper({ peer: config().name }, { routes, clock, log })
    this.#limit = new PrefixLimit({ log })
    this.#connector = new Connector({
      ...deps,
      onConnected: (connection) => this.#fsm.handle({ kind: 'connected', id: this.#links.add(connection).id }),
      onFailed: (why) => {
        history.note(why)
        this.#fsm.handle({ kind: 'connectFailed' })
      },
      onRetryDue: () => this.#fsm.handle({ kind: 'retryDue' }),
    })
    this.#fsm = new FsmRunner({
      settings: () => {
        const { localAsn: asn, mode } = config()
        return { routerId: deps.identity().routerId, asn, connects: mode !== 'passive' }
      },
      perform: (action) => this.#perform(action),
      onDone: (before, after) => history.moved(before, after),
    })
    this.#links = new LinkSet({
      clock,
      turns,
      random,
      contain: (call) => containment.run(call),
      handlers: {
        onMessage: (link, message) => this.#onMessage(link, message),
        onMalformed: (link, error) => this.#onMalformed(link, error),
        onClosed: (link, error) => this.#onClosed(link, error),
        onTimer: (link, kind) => this.#fsm.handle({ kind, id: link.id }),
        onTurnEnd: (link) => this.#checkLimit(link),
        onDrain: () => this.#session?.drained(),
        onGone: (link) => this.#links.remove(link),
      },
    })
  }

  get isRunning(): boolean {
    return this.#fsm.state.isRunning
  }

  get state(): SessionState {
    return nameOf(this.#fsm.state)
  }

  get session(): EstablishedSession | undefined {
    return this.#session
  }

  /** The peer has sent all that it has, in this session or in one before. */
  get isComplete(): boolean {
    return this.#isComplete
  }

  /** Routes of a session that ended are kept until the peer is back (RFC 4724). */
  get isHelping(): boolean {
    return this.#helper.isHelping
  }

  /** The address that was found at the other end of the peer's device. */
  get linkLocal(): Addr | undefined {
    return this.#connector.linkLocal
  }

  start(): void {
    this.#fsm.handle({ kind: 'start' })
  }

  accept(connection: Connection): void {
    this.#fsm.handle({ kind: 'accepted', id: this.#links.add(connection).id })
  }

  /** Until it is started again. `isHard`: no routes are kept, neither of this session nor of one before. */
  stop(notification: Notification | undefined, isHard: boolean): void {
    this.#fsm.handle({ kind: 'stop', ...(notification && { notification }), isHard })
    if (isHard) this.#helper.clear()
  }

  /**
   * Until this speaker is back: with graceful restart TCP just ends, and the peer keeps our routes; without, it is told `text`. The
   * peer's own routes are left here as they are.
   */
  suspend(text: string): void {
    this.#isSuspended = true
    this.#helper.freeze()
    const isKept = this.#session?.negotiated.restart !== undefined
    this.stop(isKept ? undefined : shutdownNotification(CeaseSubcode.reset, text), false)
  }

  /** Stops after a fault in this program. Never throws: where stopping fails as well, everything is let go of without a word. */
  breakOff(notification: Notification): void {
    try {
      this.stop(notification, true)
      // the fault may have come between the end of a session and that of its connection
      for (const link of this.#links) link.drop(encodeNotification(notification))
      if (this.#session === undefined) return
    } catch (error) {
      this.#logAnother(error)
    }
    this.#abandon()
  }

  /** Does by itself each thing that ends a session in order: the state machine may take it for ended, or ending it throws. */
  #abandon(): void {
    const session = this.#session
    this.#session = undefined
    this.#fsm.reset()
    const calls = [
      () => this.#connector.abort(),
      () => this.#connector.stopRetry(),
      () => session?.[Symbol.dispose](),
      () => session && this.#deps.routes.down(session.neighbour, { kind: 'gone' }),
      () => this.#helper.clear(),
      ...[...this.#links].map((link) => () => {
        this.#links.remove(link)
        link.destroy()
      }),
      () => this.#deps.onProgress(),
    ]
    for (const call of calls) {
      try {
        call()
      } catch (error) {
        this.#logAnother(error)
      }
    }
  }

  #logAnother(error: unknown): void {
    this.#deps.log.error('another fault while a session was ended because of one', { error: messageOf(error) })
  }

  /** The established session is watched with other settings from here on. */
  watch(settings: BfdSettings | undefined): void {
    this.#session?.watch(settings)
  }

  /** Resolves when no connection is left; after `stop` or `suspend`. */
  async closed(): Promise<void> {
    await this.#links.empty()
  }

  #perform(action: FsmAction): void {
    switch (action.kind) {
      case 'connect':
        return this.#connector.connect(this.#deps.config())
      case 'abortConnect':
        return this.#connector.abort()
      case 'startRetry':
        return this.#connector.startRetry(action.after, this.#deps.config(), this.#lastedMs)
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
        link.write(encodeOpen(openOf(this.#deps.config(), this.#terms(link))))
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
      routerId: this.#deps.identity().routerId,
      isOverIpv6: connection.remoteAddr.family === 6,
      isRestarting: isRestarting && isFirst,
      // when only a session was lost, nothing here stopped forwarding
      keptForwarding: isRestarting || !isFirst,
    }
  }

  #drop(link: Link, { notification, isHard }: LinkAction & { kind: 'drop' }): void {
    if (notification === undefined) return link.drop()
    if (!isCollision(notification)) this.#history.sends(notification)
    // its restart terms are there when both sides have the N bit: ours always has
    const isWrapped = isHard === true && link.negotiated?.restart?.onNotification === true
    link.drop(encodeNotification(isWrapped ? hardReset(notification) : notification))
  }

  #established(id: number): void {
    const link = this.#links.get(id)
    const negotiated = link?.negotiated
    if (link === undefined || negotiated === undefined) return
    const { clock, routes, bfd, defer, log, localAddrsOf, containment } = this.#deps
    const config = this.#deps.config()
    const { restart, remote, wire } = negotiated
    const { localAddr, device } = link.connection
    this.#deps.onEstablished()
    this.#connector.succeeded()
    this.#limit.reset()
    link.setSendHold(Math.max(leastSendHoldSeconds, 2 * negotiated.holdTimeSeconds))
    const stalePathTimeSeconds = config.gracefulRestart?.stalePathTimeSeconds ?? 0
    this.#helper.sessionUp(remote.capabilities, restart?.families ?? [], stalePathTimeSeconds)
    const localAddrs = [...(localAddrsOf?.(localAddr, device) ?? []), ...this.#deps.identity().localAddrs]
    log.info('session established', { addr: link.connection.remoteAddr, families: wire.families })
    this.#wasEstablished = true
    this.#session = new EstablishedSession(
      { config, link, negotiated, localAddrs },
      {
        routes,
        bfd,
        log,
        nowMs: () => clock.nowMs(),
        onFaults: (...faults) => this.#history.faulty(...faults),
        onBfdDown: () => this.#fsm.handle({ kind: 'bfdDown', id }),
        onEndOfRib: (family) => {
          this.#helper.endOfRib(family)
          this.#checkComplete()
        },
      },
    )
    this.#session.start(containment.outlet(link, defer))
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
    this.#history.flapped()
    this.#lastedMs = clock.nowMs() - session.sinceMs
    this.#deps.onDown(cause, this.#lastedMs)
    if (this.#isSuspended) routes.down(session.neighbour, { kind: 'restarting', families: wire.families })
    else {
      const end = endOf(cause, restart)
      this.#helper.sessionDown(end, restart)
      routes.down(session.neighbour, end)
      if (cause.kind === 'replaced') this.#history.ended('the peer came back on a new connection: it has restarted')
    }
    // the last step: what throws before leaves a session that breakOff ends
    this.#session = undefined
    this.#deps.onProgress()
  }

  #onMessage(link: Link, message: BgpMessage): void {
    const { id } = link
    switch (message.kind) {
      case 'open':
        return this.#onOpen(link, message.open)
      case 'notification': {
        const { notification } = message
        if (!isCollision(notification)) this.#history.ended(`the peer sent ${notificationText(notification)}`)
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
      const verdict = judgeOpen(this.#deps.config(), this.#terms(link), open)
      if (verdict.kind === 'refused') {
        const { notification, why } = verdict
        this.#history.explain(`${notificationText(notification)}: ${why}`)
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
    this.#history.explain(error.message)
    this.#fsm.handle({ kind: 'malformed', id: link.id, notification: error.notification })
  }

  #onClosed(link: Link, error: Error | undefined): void {
    const { connections } = this.#fsm.state
    // of several that collide, those that the peer gives up say nothing
    if (connections.length === 1) this.#history.ended(closeOf(this.#deps.config(), connections[0]?.phase, error))
    this.#fsm.handle({ kind: 'closed', id: link.id })
    link.drop()
  }

  #checkLimit(link: Link): void {
    const { name, maxPrefixes } = this.#deps.config()
    if (maxPrefixes === undefined || this.#session?.link !== link) return
    const problem = this.#limit.check(maxPrefixes, this.#deps.routes.counts(name))
    if (problem === undefined) return
    this.#history.explain(`Cease: ${problem}`)
    this.#fsm.handle({ kind: 'maxPrefixes', id: link.id })
  }
}
