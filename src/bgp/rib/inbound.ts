// From what neighbours send to candidates in the Loc-RIB: sessions that come and go, graceful restart as the helper (RFC 4724 section
// 4.2, RFC 9494 section 4.3), refreshes (RFC 7313 section 4), and import settings that change.
import { type Family, families } from '#/lib/addr.ts'
import { type Logger, messageOf } from '#/lib/log.ts'
import { type PeerConfig, type SpeakerConfig } from '#/model/bgp.ts'
import { WellKnownCommunity } from '#/wire/bgp/index.ts'
import { type Nlri, type RouteRefresh, type Update } from '#/wire/bgp/values.ts'
import { type Neighbour, type Outlet, type SessionEnd } from '../contract.ts'
import { AdjRibIn } from './adj-rib-in.ts'
import { hasCommunity, withCommunity } from './attributes.ts'
import { Importer, importKey } from './import.ts'
import { type LocRib } from './loc-rib.ts'
import { type Path, type Received } from './path.ts'
import { type Job } from './phases.ts'

/** A step of a job is so many routes. */
const routesPerStep = 64

export type InboundPeer = {
  readonly name: string
  readonly tables: Readonly<Record<Family, AdjRibIn>>
  importKey: string
  neighbour: Neighbour | undefined
  /** The session's, while there is one. */
  outlet: Pick<Outlet, 'fail'> | undefined
}

export type InboundDeps = {
  readonly locRib: LocRib
  /** Long work, in steps. */
  readonly addJob: (job: Job) => void
  readonly wallMs: () => number
  readonly log: Logger
}

export class Inbound {
  readonly #deps: InboundDeps
  #config: SpeakerConfig
  readonly #peers = new Map<string, InboundPeer>()

  constructor(config: SpeakerConfig, deps: InboundDeps) {
    this.#config = config
    this.#deps = deps
    this.configure(config)
  }

  /** Peers that are configured, and others whose session has not ended yet. */
  get peers(): Iterable<InboundPeer> {
    return this.#peers.values()
  }

  get(name: string): InboundPeer | undefined {
    return this.#peers.get(name)
  }

  configure(config: SpeakerConfig): void {
    this.#config = config
    const configs = new Map(config.peers.map((peer) => [peer.name, peer]))
    for (const peer of this.#peers.values()) {
      const own = configs.get(peer.name)
      if (own !== undefined) this.#reconfigure(peer, own)
      else if (peer.neighbour === undefined) this.#forget(peer)
    }
    for (const peer of config.peers) if (!this.#peers.has(peer.name)) this.#add(peer)
  }

  #add(config: PeerConfig): InboundPeer {
    const table = (family: Family): AdjRibIn =>
      new AdjRibIn(config.name, family, new Importer(this.#config, config, family), config.isReflectorClient)
    const key = importKey(this.#config, config)
    const peer: InboundPeer = {
      name: config.name,
      tables: { 4: table(4), 6: table(6) },
      importKey: key,
      neighbour: undefined,
      outlet: undefined,
    }
    this.#peers.set(config.name, peer)
    return peer
  }

  #reconfigure(peer: InboundPeer, config: PeerConfig): void {
    const key = importKey(this.#config, config)
    const isSame = key === peer.importKey
    peer.importKey = key
    for (const family of families) {
      const table = peer.tables[family]
      table.isClient = config.isReflectorClient
      if (isSame) continue
      table.importer = new Importer(this.#config, config, family)
      this.#addJob(table, this.#importAgain(table))
    }
  }

  #forget(peer: InboundPeer): void {
    this.#peers.delete(peer.name)
    for (const family of families) this.#sweep(peer.tables[family], peer.tables[family].nextEpoch())
  }

  up(neighbour: Neighbour, outlet: Pick<Outlet, 'fail'>): InboundPeer {
    const peer = this.#peers.get(neighbour.config.name) ?? this.#add(neighbour.config)
    // a session before it, of whose end the RIB was not told, leaves no routes
    if (peer.neighbour !== undefined) this.down(peer.neighbour, { kind: 'gone' })
    peer.neighbour = neighbour
    peer.outlet = outlet
    const { gracefulRestart, longLivedRestart = [] } = neighbour.remote
    for (const family of families) {
      const table = peer.tables[family]
      table.nextEpoch()
      table.refreshFrom = undefined
      table.faulty.clear()
      // RFC 4724 section 4.2: routes of families that it did not go on forwarding go at once
      const flags = [...(gracefulRestart?.families ?? []), ...longLivedRestart]
      const isKept = flags.some((one) => one.family === family && one.keptForwarding)
      if (table.received > 0 && !(isKept && neighbour.wire.families.includes(family))) {
        this.#sweep(table, table.epoch)
      }
    }
    return peer
  }

  down(neighbour: Neighbour, end: SessionEnd): void {
    const peer = this.#peers.get(neighbour.config.name)
    if (peer === undefined || peer.neighbour !== neighbour) return
    peer.neighbour = undefined
    peer.outlet = undefined
    for (const family of families) {
      const table = peer.tables[family]
      table.faulty.clear()
      const before = table.staleBefore
      const epoch = table.nextEpoch()
      if (end.kind === 'gone' || !end.families.includes(family)) {
        this.#sweep(table, epoch)
        continue
      }
      // stale routes of the restart before are not kept for another (RFC 4724 section 4.2), but long-lived ones are (RFC 9494)
      if (before > 0) this.#addJob(table, this.#removeStale(table, before))
      table.staleBefore = epoch
      this.#addJob(table, this.#reconsider(table))
    }
    if (!this.#config.peers.some(({ name }) => name === peer.name)) this.#forget(peer)
  }

  update(neighbour: Neighbour, update: Update): void {
    const peer = this.#peers.get(neighbour.config.name)
    if (peer === undefined || peer.neighbour !== neighbour) return
    for (const { family, nlri } of update.withdrawn) {
      const table = peer.tables[family]
      for (const one of nlri) {
        table.faulty.delete(one)
        this.#set(table, one, undefined)
      }
    }
    const { attributes, treatedAsWithdrawn } = update
    if (attributes !== undefined) {
      for (const { family, nextHop, nlri } of update.announced) {
        const table = peer.tables[family]
        const received = table.receivedOf(neighbour, attributes, nextHop)
        for (const one of nlri) {
          table.faulty.delete(one)
          this.#set(table, one, table.importer.pathOf(received, one))
        }
      }
    }
    if (treatedAsWithdrawn !== undefined) this.#noteFaulty(peer, treatedAsWithdrawn)
    if (update.endOfRib !== undefined) this.sweepStale(peer.name, update.endOfRib)
  }

  #noteFaulty(peer: InboundPeer, { routes, because }: NonNullable<Update['treatedAsWithdrawn']>): void {
    const faulty = { because, atMs: this.#deps.wallMs() }
    for (const { family, nlri } of routes) for (const one of nlri) peer.tables[family].faulty.add(one, faulty)
  }

  /** The neighbour brackets the answer to a refresh. */
  bracket(neighbour: Neighbour, { family, kind }: RouteRefresh): void {
    const peer = this.#peers.get(neighbour.config.name)
    if (peer === undefined || peer.neighbour !== neighbour) return
    const table = peer.tables[family]
    if (kind === 'begin') table.refreshFrom = table.nextEpoch()
    else if (kind === 'end' && table.refreshFrom !== undefined) {
      this.#sweep(table, table.refreshFrom)
      table.refreshFrom = undefined
    }
  }

  sweepStale(name: string, family: Family, toLongLived = false): void {
    const table = this.#peers.get(name)?.tables[family]
    if (table === undefined || table.staleBefore === 0) return
    if (toLongLived) {
      this.#addJob(table, this.#makeLongLived(table, table.staleBefore))
      return
    }
    this.#sweep(table, table.staleBefore)
    table.staleBefore = 0
  }

  keepStale(name: string, family: Family, untilMs: number): void {
    const table = this.#peers.get(name)?.tables[family]
    if (table !== undefined) table.staleUntilMs = untilMs
  }

  #set(table: AdjRibIn, nlri: Nlri, path: Path | undefined): void {
    const old = table.set(nlri, path)
    const before = old?.refusal === undefined ? old : undefined
    const after = path?.refusal === undefined ? path : undefined
    if (before !== after) this.#deps.locRib.replace(table.family, nlri, before, after)
  }

  /** Removes routes that are older than an epoch. A job that already does so goes on with the newer epoch; no second one begins. */
  #sweep(table: AdjRibIn, before: number): void {
    if (table.received === 0) return
    const isRunning = table.removing !== undefined
    table.removing = Math.max(table.removing ?? 0, before)
    if (!isRunning) this.#addJob(table, this.#remove(table))
  }

  #addJob(table: AdjRibIn, job: Job): void {
    this.#deps.addJob(this.#contained(table, job))
  }

  /** Work on the routes of one peer: an exception in it ends that peer's session, and all other work goes on. */
  *#contained(table: AdjRibIn, job: Job): Job {
    try {
      yield* job
    } catch (error) {
      table.removing = undefined
      const outlet = this.#peers.get(table.peer)?.outlet
      if (outlet !== undefined) outlet.fail(error)
      else
        this.#deps.log.error('a fault in this speaker stopped work on the routes of a peer without a session', {
          peer: table.peer,
          error: messageOf(error),
        })
    }
  }

  *#remove(table: AdjRibIn): Job {
    let steps = 0
    for (let done = 0; done !== table.removing;) {
      done = table.removing!
      for (const [nlri, path] of table.entries()) {
        if (path.received!.epoch < done) this.#set(table, nlri, undefined)
        if (++steps % routesPerStep === 0) yield
      }
    }
    table.removing = undefined
  }

  *#removeStale(table: AdjRibIn, before: number): Job {
    let steps = 0
    for (const [nlri, path] of table.entries()) {
      if (path.received!.epoch < before && !path.isLongLivedStale) this.#set(table, nlri, undefined)
      if (++steps % routesPerStep === 0) yield
    }
  }

  *#importAgain(table: AdjRibIn): Job {
    const { importer } = table
    let steps = 0
    for (const [nlri, path] of table.entries()) {
      // settings have changed once more: that brought a job of its own
      if (table.importer !== importer) return
      this.#set(table, nlri, importer.pathOf(path.received!, nlri))
      if (++steps % routesPerStep === 0) yield
    }
  }

  /** Has the routes of a table decided on again: that they have become stale makes a difference. */
  *#reconsider(table: AdjRibIn): Job {
    let steps = 0
    for (const [nlri, path] of table.entries()) {
      const destination = path.refusal === undefined ? this.#deps.locRib.get(table.family, nlri) : undefined
      if (destination !== undefined) this.#deps.locRib.enter(destination)
      if (++steps % routesPerStep === 0) yield
    }
  }

  *#makeLongLived(table: AdjRibIn, before: number): Job {
    const marked = new Map<Received, Received>()
    let steps = 0
    for (const [nlri, path] of table.entries()) {
      const received = path.received!
      if (received.epoch < before && !path.isLongLivedStale) {
        if (hasCommunity(received.attributes, WellKnownCommunity['no-llgr'])) this.#set(table, nlri, undefined)
        else {
          let longLived = marked.get(received)
          if (longLived === undefined) {
            const attributes = withCommunity(received.attributes, WellKnownCommunity['llgr-stale'])
            longLived = { ...received, attributes, decided: undefined }
            marked.set(received, longLived)
          }
          this.#set(table, nlri, table.importer.pathOf(longLived, nlri))
        }
      }
      if (++steps % routesPerStep === 0) yield
    }
  }
}
