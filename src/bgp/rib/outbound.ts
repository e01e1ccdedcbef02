// From chosen paths to neighbours: which of them are told the same, who joins them, who leaves, who asks for everything again.
import { type Family } from '#/lib/addr.ts'
import { type Logger } from '#/lib/log.ts'
import { type PeerConfig, type SpeakerConfig } from '#/model/bgp.ts'
import { encodeEndOfRib, encodeRefresh } from '#/wire/bgp/index.ts'
import { type Nlri } from '#/wire/bgp/values.ts'
import { type Neighbour, type Outlet } from '../contract.ts'
import { ExportRules, type ExportSettings, exportSettings } from './export.ts'
import { type LocRib } from './loc-rib.ts'
import { type Path, type PathSource } from './path.ts'
import { type EncodeFailure } from './portion.ts'
import { type Job } from './phases.ts'
import { type Link, Member, UpdateGroup } from './update-group.ts'

const routesPerStep = 64
/** A neighbour's routes that can be told to nobody are logged at most so often: it may send them again and again. */
const failurePauseMs = 10_000

type Membership = { key: string; group: UpdateGroup; readonly member: Member }

type Session = {
  readonly neighbour: Neighbour
  readonly link: Link
  readonly memberships: Map<Family, Membership>
  /** Families that it asked for again, and has not been sent again yet. */
  readonly wanted: Set<Family>
}

export type OutboundDeps = {
  readonly locRib: LocRib
  readonly log: Logger
  readonly addJob: (job: Job) => void
  /** There is something to write. */
  readonly onWork: () => void
  readonly nowMs: () => number
}

/** The clients of this reflector, as a key. Their routes are told to clients and others alike, so a change concerns all groups. */
function clientsKey({ peers }: SpeakerConfig): string {
  return JSON.stringify(peers.filter((peer) => peer.isReflectorClient).map(({ name }) => name))
}

export class Outbound {
  readonly #deps: OutboundDeps
  #config: SpeakerConfig
  #peers: ReadonlyMap<string, PeerConfig>
  #clientsKey: string
  /** Counts changes of who is a client: groups made before such a change have told by other rules, and are left for new ones. */
  #generation = 0
  readonly #groups = new Map<string, UpdateGroup>()
  #nextGroup = 0
  readonly #sessions = new Map<string, Session>()
  readonly #wanting = new Set<Session>()
  /** RFC 4724 section 4.1: what neighbours kept over our restart may be there again, but has not been told to us yet. */
  #isDeferring: boolean
  #failuresQuietUntilMs = 0

  constructor(config: SpeakerConfig, deps: OutboundDeps) {
    this.#config = config
    this.#deps = deps
    this.#peers = new Map(config.peers.map((peer) => [peer.name, peer]))
    this.#clientsKey = clientsKey(config)
    this.#isDeferring = config.isRestarting
  }

  up(neighbour: Neighbour, outlet: Outlet, sources: Readonly<Record<Family, PathSource>>): { onDrain: () => void } {
    const { name } = neighbour.config
    const before = this.#sessions.get(name)
    if (before !== undefined) this.down(before.neighbour)
    const session: Session = {
      neighbour,
      link: { outlet, isBehind: false },
      memberships: new Map(),
      wanted: new Set(),
    }
    this.#sessions.set(name, session)
    for (const family of neighbour.wire.families) {
      const key = this.#keyOf(neighbour, family)
      const membership = {
        key,
        group: this.#groupOf(key, neighbour, family),
        member: new Member(sources[family], session.link),
      }
      session.memberships.set(family, membership)
      membership.group.join(membership.member, this.#isDeferring ? undefined : this.#endOfRib(family))
    }
    this.#deps.onWork()
    return { onDrain: () => this.#onDrain(session) }
  }

  #endOfRib(family: Family): { readonly bytes: Uint8Array; readonly entered: number } {
    return { bytes: encodeEndOfRib(family), entered: this.#deps.locRib.entered }
  }

  /** After a restart: everything is here that is to be told before End-of-RIB. */
  endDeferral(): void {
    if (!this.#isDeferring) return
    this.#isDeferring = false
    for (const { memberships } of this.#sessions.values())
      for (const [family, { group, member }] of memberships) group.conclude(member, this.#endOfRib(family))
    this.#deps.onWork()
  }

  down(neighbour: Neighbour): void {
    const session = this.#sessions.get(neighbour.config.name)
    if (session?.neighbour !== neighbour) return
    this.#sessions.delete(neighbour.config.name)
    this.#wanting.delete(session)
    for (const { key, group, member } of session.memberships.values()) this.#leave(key, group, member)
  }

  #leave(key: string, group: UpdateGroup, member: Member): void {
    group.leave(member)
    if (group.isEmpty) this.#groups.delete(key)
  }

  #onDrain(session: Session): void {
    session.link.isBehind = false
    this.#deps.onWork()
  }

  /** RFC 2918: everything again, once it has what it was to be sent so far. However often it asks meanwhile, it is once. */
  refresh(neighbour: Neighbour, family: Family): void {
    const session = this.#sessions.get(neighbour.config.name)
    if (session?.neighbour !== neighbour || !session.memberships.has(family)) return
    session.wanted.add(family)
    this.#wanting.add(session)
    this.#deps.onWork()
  }

  /** Between brackets where both sides know them (RFC 7313). */
  #beginRefreshes(): void {
    for (const session of this.#wanting) {
      for (const family of session.wanted) {
        const { group, member } = session.memberships.get(family)!
        if (session.link.isBehind || member.closing !== undefined) continue
        session.wanted.delete(family)
        const isEnhanced = session.neighbour.remote.enhancedRouteRefresh
        if (isEnhanced) member.write(encodeRefresh({ family, kind: 'begin' }))
        const bytes = isEnhanced ? encodeRefresh({ family, kind: 'end' }) : new Uint8Array(0)
        group.leave(member)
        group.join(member, { bytes, entered: this.#deps.locRib.entered })
      }
      if (session.wanted.size === 0) this.#wanting.delete(session)
    }
  }

  configure(config: SpeakerConfig): void {
    this.#config = config
    this.#peers = new Map(config.peers.map((peer) => [peer.name, peer]))
    if (clientsKey(config) !== this.#clientsKey) this.#generation++
    this.#clientsKey = clientsKey(config)
    const moves = new Map<UpdateGroup, Map<UpdateGroup, Set<PathSource>>>()
    for (const { neighbour, memberships } of this.#sessions.values()) {
      for (const [family, membership] of memberships) {
        const key = this.#keyOf(neighbour, family)
        if (key === membership.key) continue
        const { group: from, member } = membership
        const into = this.#groupOf(key, neighbour, family)
        const known = moves.get(from) ?? new Map<UpdateGroup, Set<PathSource>>()
        moves.set(from, known)
        const joined = known.get(into) ?? new Set<PathSource>()
        if (joined.size === 0) this.#deps.addJob(this.#move(from, into, joined))
        known.set(into, joined.add(member.source))
        this.#leave(membership.key, from, member)
        into.join(member)
        membership.key = key
        membership.group = into
      }
    }
    if (moves.size > 0) this.#deps.onWork()
  }

  #keyOf(neighbour: Neighbour, family: Family): string {
    return `${this.#generation} ${JSON.stringify(this.#settingsOf(neighbour, family))}`
  }

  #settingsOf(neighbour: Neighbour, family: Family): ExportSettings {
    const own = this.#peers.get(neighbour.config.name) ?? neighbour.config
    return exportSettings(this.#config, own, neighbour, family)
  }

  #groupOf(key: string, neighbour: Neighbour, family: Family): UpdateGroup {
    const known = this.#groups.get(key)
    if (known !== undefined) return known
    const rules = new ExportRules(this.#settingsOf(neighbour, family))
    const group = new UpdateGroup(rules, (...failure) => this.#logFailure(...failure))
    this.#groups.set(key, group)
    this.#deps.addJob(this.#fill(group))
    return group
  }

  #logFailure(...[error, prefix, count]: Parameters<EncodeFailure>): void {
    const nowMs = this.#deps.nowMs()
    if (nowMs < this.#failuresQuietUntilMs) return
    this.#failuresQuietUntilMs = nowMs + failurePauseMs
    this.#deps.log.warn('cannot advertise', { prefix: String(prefix), count, error })
  }

  *#fill(group: UpdateGroup): Job {
    let steps = 0
    for (const [nlri, { paths, isWaiting }] of this.#deps.locRib.destinations(group.rules.settings.family)) {
      // those in line are offered when they are decided
      if (!isWaiting) group.offer(nlri, paths[0])
      if (++steps % routesPerStep !== 0) continue
      if (group.isEmpty) break
      yield
    }
    group.isFilling = false
  }

  /**
   * Members of one group have become members of another: what they were told there, and are not here, is withdrawn. From now on
   * nothing is forgotten there until that is done.
   */
  #move(from: UpdateGroup, into: UpdateGroup, joined: ReadonlySet<PathSource>): Job {
    const pinned = from.log.readFromStart()
    const earlier = [...from.arrivals]
    const arrival = Symbol('arrival')
    into.arrivals.add(arrival)
    function* move(): Job {
      while (into.isFilling || earlier.some((one) => from.arrivals.has(one))) yield
      let steps = 0
      for (const [nlri, entry] of from.log.entries()) {
        into.takeOver(nlri, entry, joined)
        if (++steps % routesPerStep === 0) yield
      }
      into.arrivals.delete(arrival)
      from.log.close(pinned)
    }
    return move()
  }

  /** A prefix was decided on; `best` undefined: there is no path to it any more. */
  offer(family: Family, nlri: Nlri, best: Path | undefined): void {
    for (const group of this.#groups.values()) if (group.rules.settings.family === family) group.offer(nlri, best)
  }

  /** Returns whether there is more to write to a neighbour that is not behind. */
  write(isOver: () => boolean): boolean {
    this.#beginRefreshes()
    const hasMore = this.#writeGroups(isOver)
    // what was just closed may have been asked for again
    const isClosed = [...this.#wanting].some((session) => this.#canRefresh(session))
    return hasMore || isClosed
  }

  #canRefresh({ link, wanted, memberships }: Session): boolean {
    return !link.isBehind && [...wanted].some((family) => memberships.get(family)?.member.closing === undefined)
  }

  #writeGroups(isOver: () => boolean): boolean {
    const groups = [...this.#groups.values()]
    const first = this.#nextGroup
    let isStopped = false
    for (let count = 0; count < groups.length; count++) {
      const at = (first + count) % groups.length
      const group = groups[at]!
      if (!group.prepare(this.#deps.locRib.decidedUpTo)) continue
      if (isStopped) return true
      // the others come first next time
      this.#nextGroup = at + 1
      if (group.write(isOver)) return true
      isStopped = isOver()
    }
    return false
  }

  /** By name. */
  get neighbours(): Iterable<string> {
    return this.#sessions.keys()
  }

  /** The groups that a neighbour is in, and whose routes it is not told there. */
  *groupsOf(peer: string): Iterable<{ readonly group: UpdateGroup; readonly source: PathSource }> {
    for (const { group, member } of this.#sessions.get(peer)?.memberships.values() ?? []) {
      yield { group, source: member.source }
    }
  }
}
