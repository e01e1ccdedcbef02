// What a RIB has to come to, worked out from scratch and without any of its machinery: tables of plain values, gone through as often
// as needed.
import { type Addr, type Family, Prefix } from '#/lib/addr.ts'
import { type LearnedRoute, type PeerConfig, type RoutePolicy, type SpeakerConfig } from '#/model/bgp.ts'
import { type AsSegment, type PathAttributes, type PathNextHop } from '#/wire/bgp/values.ts'
import { type Neighbour, type SessionEnd } from '../../contract.ts'

type Held = {
  readonly attributes: PathAttributes
  readonly nextHop: PathNextHop
  readonly neighbour: Neighbour
  readonly isStale: boolean
  readonly isUnrefreshed: boolean
}

type Candidate = {
  readonly peer: string
  readonly from?: Held
  readonly attributes: PathAttributes
  readonly isAllowed: boolean
}

const community = { noExport: 0xffffff01, noAdvertise: 0xffffff02, longLivedStale: 0xffff0006, noLongLived: 0xffff0007 }

const has = ({ communities = [] }: PathAttributes, one: number): boolean => communities.includes(one)
const asnsOf = (path: readonly AsSegment[]): number[] => path.flatMap(({ asns }) => asns)
const numberOf = (text: string): number => Number(text.split(':')[0]) * 65_536 + Number(text.split(':')[1])

/** First rule that matches; undefined: rejected. Knows no more of policies than the tests use. */
function judged(policy: RoutePolicy | undefined, prefix: string, attributes: PathAttributes, asn: number) {
  if (policy === undefined) return { attributes, isAllowed: false }
  const one = Prefix.parse(prefix)
  for (const { match, action, set = {}, isGrant = false } of policy.rules) {
    const fitsPrefix = match.prefixes?.some(
      ({ prefix: listed, minLength = listed.length, maxLength = listed.length }) =>
        listed.contains(one) && one.length >= minLength && one.length <= maxLength,
    )
    if (fitsPrefix === false) continue
    if (!(match.communities ?? []).every((text) => has(attributes, numberOf(text)))) continue
    if (action === 'reject') return undefined
    const { communities: before = [], ...others } = attributes
    const communities = [...new Set([...before, ...(set.addCommunities ?? []).map(numberOf)])].sort((a, b) => a - b)
    return {
      attributes: {
        ...others,
        ...(communities.length > 0 && { communities }),
        ...(set.localPreference !== undefined && { localPreference: set.localPreference }),
        ...(set.med !== undefined && { med: set.med }),
        ...(set.prependTimes !== undefined && { asPath: prepended(attributes.asPath, asn, set.prependTimes) }),
      },
      isAllowed: isGrant,
    }
  }
  return policy.otherwise === 'accept' ? { attributes, isAllowed: false } : undefined
}

const prepended = (path: readonly AsSegment[], asn: number, times: number): AsSegment[] => [
  { kind: 'sequence', asns: [...Array.from({ length: times }, () => asn), ...asnsOf(path)] },
]

export class NaiveRib {
  config: SpeakerConfig
  readonly #held = new Map<string, Map<string, Held>>()
  readonly #sessions = new Map<string, Neighbour>()

  constructor(config: SpeakerConfig) {
    this.config = config
  }

  #table(peer: string): Map<string, Held> {
    const table = this.#held.get(peer) ?? new Map<string, Held>()
    this.#held.set(peer, table)
    return table
  }

  #update(peer: string, family: Family, change: (held: Held) => Held | undefined): void {
    const table = this.#table(peer)
    for (const [prefix, held] of table) {
      if (Prefix.parse(prefix).family !== family) continue
      const changed = change(held)
      if (changed === undefined) table.delete(prefix)
      else table.set(prefix, changed)
    }
  }

  up(neighbour: Neighbour): void {
    const { name } = neighbour.config
    this.#sessions.set(name, neighbour)
    for (const family of [4, 6] as const) {
      const isKept = neighbour.remote.gracefulRestart?.families.some(
        (one) => one.family === family && one.keptForwarding,
      )
      if (isKept !== true) this.#update(name, family, () => undefined)
    }
  }

  down({ config: { name } }: Neighbour, end: SessionEnd): void {
    this.#sessions.delete(name)
    for (const family of [4, 6] as const) {
      const isKept = end.kind === 'restarting' && end.families.includes(family)
      this.#update(name, family, (held) => {
        const wasLongLived = has(held.attributes, community.longLivedStale)
        return !isKept || (held.isStale && !wasLongLived) ? undefined : { ...held, isStale: true }
      })
    }
  }

  announce(neighbour: Neighbour, prefixes: readonly string[], attributes: PathAttributes, nextHop: PathNextHop): void {
    for (const prefix of prefixes) {
      this.#table(neighbour.config.name).set(prefix, {
        attributes,
        nextHop,
        neighbour,
        isStale: false,
        isUnrefreshed: false,
      })
    }
  }

  withdraw(peer: string, prefixes: readonly string[]): void {
    for (const prefix of prefixes) this.#table(peer).delete(prefix)
  }

  beginRefresh(peer: string, family: Family): void {
    this.#update(peer, family, (held) => ({ ...held, isUnrefreshed: true }))
  }

  endRefresh(peer: string, family: Family): void {
    this.#update(peer, family, (held) => (held.isUnrefreshed ? undefined : held))
  }

  sweepStale(peer: string, family: Family, toLongLived: boolean): void {
    this.#update(peer, family, (held) => {
      if (!held.isStale) return held
      if (!toLongLived || has(held.attributes, community.noLongLived)) return undefined
      const communities = [...new Set([...(held.attributes.communities ?? []), community.longLivedStale])]
      return { ...held, attributes: { ...held.attributes, communities: communities.sort((a, b) => a - b) } }
    })
  }

  #peer(name: string): PeerConfig {
    return this.config.peers.find((peer) => peer.name === name)!
  }

  #candidates(prefix: string): Candidate[] {
    const own = this.config.originated
      .filter((one) => one.prefix.toString() === prefix)
      .map(({ communities = [] }) => ({
        peer: '',
        attributes: {
          origin: 0 as const,
          asPath: [],
          ...(communities.length > 0 && { communities: communities.map(numberOf) }),
        },
        isAllowed: false,
      }))
    const received = [...this.#held].flatMap(([peer, table]) => {
      const held = table.get(prefix)
      const imported = held && this.#imported(this.#peer(peer), prefix, held)
      return imported === undefined ? [] : [{ peer, from: held!, ...imported }]
    })
    return [...own, ...received]
  }

  #imported(peer: PeerConfig, prefix: string, { attributes, neighbour }: Held) {
    const own = asnsOf(attributes.asPath).filter((asn) => asn === this.config.asn)
    if (own.length > peer.allowOwnAsn) return undefined
    if (neighbour.isInternal) {
      if (attributes.originatorId?.equals(this.config.routerId) === true) return undefined
      if (attributes.clusterList?.some((id) => id.equals(this.config.routerId)) === true) return undefined
    } else if (peer.importPolicy === undefined) return undefined
    return judged(peer.importPolicy, prefix, attributes, asnsOf(attributes.asPath)[0] ?? neighbour.remoteAsn)
  }

  /** Best first, then what may be used beside it. */
  #chosen(prefix: string): Candidate[] {
    let rest = this.#candidates(prefix)
    const keep = (rank: (one: Candidate) => number | bigint | string): void => {
      rest = rest.filter((one) => !rest.some((other) => rank(other) < rank(one)))
    }
    const first = ({ attributes }: Candidate): number | undefined => asnsOf(attributes.asPath)[0]
    const med = ({ attributes }: Candidate): number => attributes.med ?? 0
    keep(({ from }) => (from === undefined ? 0 : 1))
    keep(({ attributes }) => (has(attributes, community.longLivedStale) ? 1 : 0))
    keep(({ attributes }) => -(attributes.localPreference ?? 100))
    keep(({ attributes }) => asnsOf(attributes.asPath).length)
    keep(({ attributes }) => attributes.origin)
    rest = rest.filter((one) => !rest.some((other) => first(other) === first(one) && med(other) < med(one)))
    keep(({ from }) => (from?.neighbour.isInternal === true ? 1 : 0))
    const equal = rest
    const tieBreak = (): Candidate[] => {
      keep(({ attributes, from }) => (attributes.originatorId ?? from?.neighbour.remoteRouterId)?.value ?? 0n)
      keep(({ attributes }) => attributes.clusterList?.length ?? 0)
      keep(({ from }) => from?.neighbour.remoteAddr.value ?? 0n)
      keep(({ peer }) => peer)
      return rest
    }
    const chosen = tieBreak()
    const [best] = chosen
    let others = equal.filter(
      (one) =>
        one !== best &&
        one.isAllowed === best!.isAllowed &&
        (this.config.multipathRelax ||
          String(asnsOf(one.attributes.asPath)) === String(asnsOf(best!.attributes.asPath))),
    )
    while (others.length > 0 && chosen.length < this.config.maxPaths) {
      rest = others
      const [next] = tieBreak()
      const isKnown = chosen.some(({ from }) => from!.nextHop.addr.equals(next!.from!.nextHop.addr))
      if (!isKnown) chosen.push(next!)
      others = others.filter((one) => one !== next)
    }
    return chosen
  }

  #prefixes(): string[] {
    const own = this.config.originated.map(({ prefix }) => prefix.toString())
    return [...new Set([...own, ...[...this.#held.values()].flatMap((table) => [...table.keys()])])]
  }

  routes(): Map<string, LearnedRoute> {
    const routes = new Map<string, LearnedRoute>()
    for (const prefix of this.#prefixes()) {
      const chosen = this.#chosen(prefix)
      if (chosen.length === 0 || chosen[0]!.from === undefined) continue
      const hops = new Map(
        chosen.map(({ from }) => {
          const { addr } = from!.nextHop
          const { isInternal, remoteAddr } = from!.neighbour
          const isPassedOn = isInternal && !addr.equals(remoteAddr)
          return [addr.toString(), { addr, ...(isPassedOn && { isPassedOn }) }]
        }),
      )
      routes.set(prefix, {
        prefix: Prefix.parse(prefix),
        nextHops: [...hops.values()].sort((a, b) => a.addr.compare(b.addr)),
        peers: chosen.map(({ peer }) => peer).sort(),
        isAllowed: chosen[0]!.isAllowed,
        isStale: chosen.some(({ from }) => from!.isStale),
      })
    }
    return routes
  }

  /** Prefix to next hop and attributes. */
  beliefs(name: string): Map<string, { readonly nextHop: PathNextHop; readonly attributes: PathAttributes }> {
    const beliefs = new Map<string, { nextHop: PathNextHop; attributes: PathAttributes }>()
    const neighbour = this.#sessions.get(name)!
    for (const prefix of this.#prefixes()) {
      const { family } = Prefix.parse(prefix)
      const best = this.#chosen(prefix)[0]
      if (best === undefined || !neighbour.wire.families.includes(family)) continue
      const exported = this.#exported(this.#peer(name), neighbour, prefix, family, best)
      if (exported !== undefined) beliefs.set(prefix, exported)
    }
    return beliefs
  }

  #exported(peer: PeerConfig, neighbour: Neighbour, prefix: string, family: Family, best: Candidate) {
    const { attributes, from } = best
    if (best.peer === peer.name || has(attributes, community.noAdvertise)) return undefined
    if (has(attributes, community.longLivedStale)) return undefined
    const self: Addr = [neighbour.localAddr, ...neighbour.localAddrs].find((addr) => addr.family === family)!
    const nextHop = { addr: from === undefined || peer.nextHopSelf || !neighbour.isInternal ? self : from.nextHop.addr }
    if (!neighbour.isInternal) {
      if (peer.exportPolicy === undefined || has(attributes, community.noExport)) return undefined
      const { localPreference: _, med: __, originatorId: ___, clusterList: ____, ...kept } = attributes
      const given = judged(peer.exportPolicy, prefix, kept, peer.localAsn)?.attributes
      if (given === undefined) return undefined
      const { localPreference: _____, ...changed } = given
      return { nextHop, attributes: { ...changed, asPath: prepended(changed.asPath, peer.localAsn, 1) } }
    }
    const isReflected = from?.neighbour.isInternal === true
    if (isReflected && !peer.isReflectorClient && !this.#peer(best.peer).isReflectorClient) return undefined
    const given = {
      ...attributes,
      localPreference: attributes.localPreference ?? 100,
      ...(isReflected && {
        originatorId: attributes.originatorId ?? from.neighbour.remoteRouterId,
        clusterList: [this.config.routerId, ...(attributes.clusterList ?? [])],
      }),
    }
    const changed = judged(peer.exportPolicy, prefix, given, peer.localAsn)?.attributes
    return changed && { nextHop, attributes: changed }
  }
}
