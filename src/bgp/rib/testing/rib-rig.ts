// A RIB with neighbours that are no more than what they believe: their outlets decode what they are given. Turns of the event loop
// happen when a test says so.
import assert from 'node:assert/strict'
import { Addr, type Family, Prefix } from '#/lib/addr.ts'
import { type Logger, silent } from '#/lib/log.ts'
import {
  type AdvertisedStatus,
  type LearnedRoute,
  type LearnedRouteChange,
  type PathStatus,
  type PeerConfig,
  type RouteFilter,
  type SpeakerConfig,
} from '#/model/bgp.ts'
import { MessageReader, nlriOf, prefixOf } from '#/wire/bgp/index.ts'
import {
  type Capabilities,
  type PathAttributes,
  type PathNextHop,
  type RouteRefresh,
  type Update,
} from '#/wire/bgp/values.ts'
import { type Neighbour, type Outlet, type SessionEnd } from '../../contract.ts'
import { Rib } from '../rib.ts'

export const acceptEverything = { rules: [], otherwise: 'accept' } as const

export function peerConfig(name: string, more: Partial<PeerConfig> = {}): PeerConfig {
  return {
    name,
    port: 179,
    localAsn: 65_000,
    remoteAsn: 'external',
    families: [4, 6],
    mode: 'both',
    timers: { holdTimeSeconds: 90, keepaliveSeconds: 30, connectRetrySeconds: 30 },
    importPolicy: acceptEverything,
    exportPolicy: acceptEverything,
    isReflectorClient: false,
    nextHopSelf: false,
    allowOwnAsn: 0,
    ...more,
  }
}

export function speakerConfig(more: Partial<SpeakerConfig> = {}): SpeakerConfig {
  return {
    routerId: Addr.parse('10.255.0.1'),
    asn: 65_000,
    maxPaths: 1,
    multipathRelax: false,
    isRestarting: false,
    peers: [],
    originated: [],
    ...more,
  }
}

export type SessionOptions = {
  readonly asn?: number
  readonly addr?: string
  readonly routerId?: string
  readonly localAddr?: string
  readonly localAddrs?: readonly string[]
  readonly device?: string
  readonly families?: readonly Family[]
  readonly extendedNextHop?: boolean
  readonly remote?: Partial<Capabilities>
}

/** What a neighbour believes of one prefix. */
export type Belief = { readonly nextHop: PathNextHop; readonly attributes: PathAttributes }

export class TestSession implements Outlet {
  readonly neighbour: Neighbour
  readonly beliefs = { 4: new Map<string, Belief>(), 6: new Map<string, Belief>() }
  /** Kinds of what came, in order: "announce 4 10.0.0.0/8", "end-of-rib 4", "begin 4". */
  readonly events: string[] = []
  /** How many writes it takes before it says that it has enough. */
  credit = Infinity
  writes = 0
  bytes = 0
  onDrain: () => void = () => {}
  /** Faults of the RIB's that are to end this session. */
  readonly failures: unknown[] = []
  readonly #reader = new MessageReader()
  readonly #rig: RibRig
  #behindSince: number | undefined

  constructor(rig: RibRig, neighbour: Neighbour) {
    this.#rig = rig
    this.neighbour = neighbour
  }

  write(bytes: Uint8Array): boolean {
    assert.ok(bytes.length > 0, 'an empty write')
    const isAllowed = this.#behindSince === undefined || this.#behindSince === this.#rig.turns
    assert.ok(isAllowed, 'more for a neighbour that has enough')
    this.writes++
    this.bytes += bytes.length
    this.#reader.push(bytes)
    for (;;) {
      const message = this.#reader.next(this.neighbour.wire)
      if (message === undefined) break
      if (message.kind === 'refresh') this.events.push(`${message.refresh!.kind} ${message.refresh!.family}`)
      else if (message.kind === 'update') this.#take(message.update)
    }
    if (--this.credit <= 0) this.#behindSince ??= this.#rig.turns
    return this.#behindSince === undefined
  }

  fail(error: unknown): void {
    this.failures.push(error)
  }

  #take({ withdrawn, announced, attributes, endOfRib, faults }: Update): void {
    assert.deepEqual(faults, [])
    for (const { family, nlri } of withdrawn) {
      for (const one of nlri) {
        const prefix = prefixOf(one, family).toString()
        this.beliefs[family].delete(prefix)
        this.events.push(`withdraw ${family} ${prefix}`)
      }
    }
    for (const { family, nextHop, nlri } of announced) {
      for (const one of nlri) {
        const prefix = prefixOf(one, family).toString()
        this.beliefs[family].set(prefix, { nextHop, attributes: attributes! })
        this.events.push(`announce ${family} ${prefix}`)
      }
    }
    if (endOfRib !== undefined) this.events.push(`end-of-rib ${endOfRib}`)
  }

  /** Has caught up, and takes so many writes from now on. */
  drain(credit = Infinity): void {
    this.credit = credit
    this.#behindSince = undefined
    this.onDrain()
  }

  get prefixes(): string[] {
    return [...this.beliefs[4].keys(), ...this.beliefs[6].keys()].sort()
  }

  belief(prefix: string): Belief | undefined {
    return this.beliefs[Prefix.parse(prefix).family].get(prefix)
  }
}

export type Announced = {
  readonly nextHop?: string
  readonly linkLocal?: string
  readonly path?: readonly number[]
} & Partial<PathAttributes>

export class RibRig {
  readonly rib: Rib
  /** As the kernel's side has been told. */
  readonly routes = new Map<string, LearnedRoute>()
  readonly batches: (readonly LearnedRouteChange[])[] = []
  config: SpeakerConfig
  /** By how much time passes whenever somebody looks at the clock. */
  msPerLook = 0
  #nowMs = 0
  turns = 0
  readonly #deferred: (() => void)[] = []

  constructor(config: SpeakerConfig, log: Logger = silent) {
    this.config = config
    this.rib = new Rib(config, {
      wallMs: () => 1_000_000,
      log,
      defer: (work) => this.#deferred.push(work),
      onRoutes: (changes) => this.#onRoutes(changes),
      nowMs: () => (this.#nowMs += this.msPerLook),
    })
  }

  #onRoutes(changes: readonly LearnedRouteChange[]): void {
    this.batches.push(changes)
    for (const { prefix, route } of changes) {
      const known = this.routes.get(prefix.toString())
      assert.notDeepEqual(route, known, `nothing new about ${prefix}`)
      if (route === undefined) this.routes.delete(prefix.toString())
      else this.routes.set(prefix.toString(), route)
    }
  }

  get isIdle(): boolean {
    return this.#deferred.length === 0
  }

  /** One turn of the event loop. */
  turn(): void {
    this.turns++
    for (const work of this.#deferred.splice(0)) work()
  }

  settle(): void {
    for (let turns = 0; !this.isIdle; turns++) {
      assert.ok(turns < 100_000, 'the RIB does not come to rest')
      this.turn()
    }
  }

  configure(more: Partial<SpeakerConfig>): void {
    this.config = { ...this.config, ...more }
    this.rib.configure(this.config)
  }

  /** The peer's next session; its AS decides whether it is internal. */
  up(name: string, options: SessionOptions = {}): TestSession {
    const config = this.config.peers.find((peer) => peer.name === name)!
    const { asn = 65_001, addr = '10.0.0.2', localAddr = '10.0.0.1', localAddrs = [localAddr] } = options
    const families = options.families ?? config.families
    const isInternal = asn === config.localAsn
    const extendedNextHop = options.extendedNextHop ?? false
    const session = new TestSession(this, {
      config,
      remoteAddr: Addr.parse(addr),
      localAddr: Addr.parse(localAddr),
      localAddrs: localAddrs.map(Addr.parse),
      ...(options.device !== undefined && { device: options.device }),
      remoteAsn: asn,
      remoteRouterId: Addr.parse(options.routerId ?? (addr.includes(':') ? '10.255.9.9' : addr)),
      isInternal,
      wire: { fourOctetAsn: true, families, extendedNextHop, isInternal },
      remote: {
        families,
        routeRefresh: true,
        enhancedRouteRefresh: true,
        extendedNextHop: extendedNextHop ? [4] : [],
        unknown: [],
        ...options.remote,
      },
    })
    const { onDrain } = this.rib.up(session.neighbour, session)
    session.onDrain = onDrain
    return session
  }

  down({ neighbour }: TestSession, end: SessionEnd = { kind: 'gone' }): void {
    this.rib.down(neighbour, end)
  }

  announce({ neighbour }: TestSession, prefixes: readonly string[], announced: Announced = {}): void {
    const { nextHop = String(neighbour.remoteAddr), linkLocal, path, ...more } = announced
    const asns = path ?? (neighbour.isInternal ? [] : [neighbour.remoteAsn])
    const attributes: PathAttributes = {
      origin: 0,
      asPath: asns.length === 0 ? [] : [{ kind: 'sequence', asns }],
      ...more,
    }
    const hop = { addr: Addr.parse(nextHop), ...(linkLocal !== undefined && { linkLocal: Addr.parse(linkLocal) }) }
    for (const family of [4, 6] as const) {
      const nlri = prefixes
        .map(Prefix.parse)
        .filter((prefix) => prefix.family === family)
        .map(nlriOf)
      if (nlri.length === 0) continue
      this.rib.update(neighbour, { withdrawn: [], announced: [{ family, nextHop: hop, nlri }], attributes, faults: [] })
    }
  }

  withdraw({ neighbour }: TestSession, prefixes: readonly string[]): void {
    for (const family of [4, 6] as const) {
      const nlri = prefixes
        .map(Prefix.parse)
        .filter((prefix) => prefix.family === family)
        .map(nlriOf)
      if (nlri.length > 0) this.rib.update(neighbour, { withdrawn: [{ family, nlri }], announced: [], faults: [] })
    }
  }

  endOfRib({ neighbour }: TestSession, family: Family): void {
    this.rib.update(neighbour, { withdrawn: [], announced: [], endOfRib: family, faults: [] })
  }

  refresh({ neighbour }: TestSession, kind: RouteRefresh['kind'], family: Family = 4): void {
    this.rib.refresh(neighbour, { family, kind })
  }

  paths(filter: RouteFilter = {}): PathStatus[] {
    return [...this.rib.listing.paths(filter)].flat()
  }

  advertised(filter: RouteFilter): AdvertisedStatus[] {
    return [...this.rib.listing.advertised(filter)].flat()
  }

  /** Of one prefix, "peer: reason" in order. */
  reasons(filter: RouteFilter): string[] {
    return this.paths(filter).map(({ peer, reason }) => `${peer}: ${reason}`)
  }
}
