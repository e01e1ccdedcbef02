// The routing information base (RFC 4271 section 3.2): all routes of all neighbours, what is chosen of them, and who is told.
//
//   UPDATE -> Inbound (import policy, Adj-RIB-In) -> LocRib (decision) -> Outbound (export policy, update groups) -> outlets
//                                                          \-> onRoutes
//
// Calls only note what has changed; deciding and writing follow on later turns of the event loop, in portions.
import { type Family, type Prefix, families } from '#/lib/addr.ts'
import { type Logger } from '#/lib/log.ts'
import { type LearnedRoute, type LearnedRouteChange, type SpeakerConfig } from '#/model/bgp.ts'
import { prefixOf } from '#/wire/bgp/index.ts'
import { type Nlri, type RouteRefresh, type Update } from '#/wire/bgp/values.ts'
import { type Neighbour, type Outlet, type RouteSink, type SessionEnd } from '../contract.ts'
import { type DecisionOptions } from './decision.ts'
import { Inbound } from './inbound.ts'
import { Listing } from './listing.ts'
import { LocRib } from './loc-rib.ts'
import { Outbound } from './outbound.ts'
import { OwnRoutes } from './own-routes.ts'
import { type Forwarding } from './path.ts'
import { type Job, Jobs, PhaseLoop } from './phases.ts'

export type RibDeps = {
  readonly log: Logger
  /** Calls back on a later turn of the event loop, after I/O. */
  readonly defer: (work: () => void) => void
  /** What is chosen for prefixes that are not our own: only what differs from what was told before. Absent: nobody wants to know. */
  readonly onRoutes?: ((changes: readonly LearnedRouteChange[]) => void) | undefined
  /** Monotonic. */
  readonly nowMs: () => number
  /** Wall clock. */
  readonly wallMs: () => number
}

/** Field by field: spreading an object is slower, and a table has hundreds of thousands of them. */
function routeOf(prefix: Prefix, { nextHops, peers, isAllowed, isStale }: Forwarding): LearnedRoute {
  return { prefix, nextHops, peers, isAllowed, isStale }
}

function decidesAlike(one: DecisionOptions, other: DecisionOptions): boolean {
  return (
    one.maxPaths === other.maxPaths &&
    one.multipathRelax === other.multipathRelax &&
    JSON.stringify(one.reach) === JSON.stringify(other.reach)
  )
}

export class Rib implements RouteSink {
  readonly #deps: RibDeps
  readonly #jobs = new Jobs()
  readonly #locRib: LocRib
  readonly #own: OwnRoutes
  readonly #inbound: Inbound
  readonly #outbound: Outbound
  readonly #turns: PhaseLoop
  #config: SpeakerConfig
  #changes: LearnedRouteChange[] = []
  #whenDecided: { readonly entered: number; readonly call: () => void }[] = []

  constructor(config: SpeakerConfig, deps: RibDeps) {
    this.#config = config
    this.#deps = deps
    this.#turns = new PhaseLoop(
      [this.#jobs.work, (isOver) => this.#decide(isOver), (isOver) => this.#outbound.write(isOver)],
      deps,
    )
    this.#locRib = new LocRib(config, {
      onBest: (family, nlri, best) => this.#outbound.offer(family, nlri, best),
      onForwarding: (family, nlri, forwarding) => this.#noteForwarding(family, nlri, forwarding),
    })
    const addJob = (job: Job): void => {
      this.#jobs.add(job)
      this.#turns.request()
    }
    this.#own = new OwnRoutes(this.#locRib)
    this.#inbound = new Inbound(config, { locRib: this.#locRib, addJob, wallMs: deps.wallMs, log: deps.log })
    this.#outbound = new Outbound(config, {
      locRib: this.#locRib,
      log: deps.log,
      addJob,
      onWork: () => this.#turns.request(),
      nowMs: deps.nowMs,
    })
    this.#own.set(config.originated)
    this.#turns.request()
  }

  /** Does not ask neighbours for their routes again: what they sent is decided on anew, and they are told what is different. */
  configure(config: SpeakerConfig): void {
    this.#config = config
    const before = this.#locRib.options
    this.#locRib.options = config
    if (!decidesAlike(before, config)) {
      for (const family of families) this.#jobs.add(this.#decideAgain(family))
    }
    this.#inbound.configure(config)
    this.#outbound.configure(config)
    this.#own.set(config.originated)
    this.#turns.request()
  }

  up(neighbour: Neighbour, outlet: Outlet): { readonly onDrain: () => void } {
    const { tables } = this.#inbound.up(neighbour, outlet)
    return this.#outbound.up(neighbour, outlet, tables)
  }

  down(neighbour: Neighbour, end: SessionEnd): void {
    this.#outbound.down(neighbour)
    this.#inbound.down(neighbour, end)
    this.#turns.request()
  }

  update(neighbour: Neighbour, update: Update): void {
    this.#inbound.update(neighbour, update)
    this.#turns.request()
  }

  refresh(neighbour: Neighbour, refresh: RouteRefresh): void {
    if (refresh.kind === 'request') this.#outbound.refresh(neighbour, refresh.family)
    else this.#inbound.bracket(neighbour, refresh)
  }

  sweepStale(peer: string, family: Family, options?: { readonly toLongLived: boolean }): void {
    this.#inbound.sweepStale(peer, family, options?.toLongLived)
  }

  keepStale(peer: string, family: Family, untilMs: number): void {
    this.#inbound.keepStale(peer, family, untilMs)
  }

  counts(peer: string): { readonly received: number; readonly accepted: number; readonly advertised: number } {
    let [received, accepted, advertised] = [0, 0, 0]
    for (const table of Object.values(this.#inbound.get(peer)?.tables ?? {})) {
      received += table.received
      accepted += table.accepted
    }
    for (const { group, source } of this.#outbound.groupsOf(peer)) advertised += group.countFor(source)
    return { received, accepted, advertised }
  }

  #decide(isOver: () => boolean): boolean {
    const hasMore = this.#locRib.decide(isOver)
    const changes = this.#changes
    this.#changes = []
    if (changes.length > 0) this.#deps.onRoutes?.(changes)
    const isDecided = ({ entered }: { readonly entered: number }): boolean => entered <= this.#locRib.decidedUpTo
    const due = this.#whenDecided.filter(isDecided)
    if (due.length > 0) this.#whenDecided = this.#whenDecided.filter((one) => !isDecided(one))
    for (const { call } of due) call()
    return hasMore
  }

  /** A RIB whose configuration says that it restarts sends no End-of-RIB before. */
  endDeferral(): void {
    this.#outbound.endDeferral()
  }

  /** Calls back, on a later turn, once `onRoutes` has been told of everything that has come so far. */
  whenDecided(call: () => void): void {
    this.#whenDecided.push({ entered: this.#locRib.entered, call })
    this.#turns.request()
  }

  #noteForwarding(family: Family, nlri: Nlri, forwarding: Forwarding | undefined): void {
    if (this.#deps.onRoutes === undefined) return
    const prefix = prefixOf(nlri, family)
    this.#changes.push({ prefix, route: forwarding && routeOf(prefix, forwarding) })
  }

  *#decideAgain(family: Family): Job {
    let steps = 0
    for (const [, destination] of this.#locRib.destinations(family)) {
      this.#locRib.enter(destination)
      if (++steps % 64 === 0) yield
    }
  }

  /** What is held and what is told, for people. */
  get listing(): Listing {
    const { untold = [] } = this.#config
    return new Listing({ locRib: this.#locRib, inbound: this.#inbound, outbound: this.#outbound, untold })
  }
}
