// The decision process of RFC 4271 section 9.1.2.2 with the additions of RFC 4456 section 9 and RFC 9494 section 4.3: step after
// step, those that are not as good as the best are out. The outcome depends on the set of paths alone, not on who came first.
import { nextHopSelfRemedy, type SpeakerConfig } from '#/model/bgp.ts'
import { asPathLength } from '#/wire/bgp/index.ts'
import { firstAsnOf } from './attributes.ts'
import { nextHopOf } from './forwarding.ts'
import { type Path } from './path.ts'
import { reachableOf } from './reachability.ts'

type Rank = number | bigint | string

/** The lowest rank stays; where there are groups, the lowest of each group. */
type Step = {
  readonly rank: (path: Path) => Rank
  readonly group?: (path: Path) => number | undefined
  /** What `winner` has ahead of `loser`. */
  readonly reason: (winner: Path, loser: Path) => string
}

const defaultLocalPreference = 100
const originNames = ['igp', 'egp', 'incomplete'] as const

export function localPreferenceOf(path: Path): number {
  return path.attributes.localPreference ?? defaultLocalPreference
}

const med = (path: Path): number => path.attributes.med ?? 0
const length = (path: Path): number => asPathLength(path.attributes.asPath)
const clusters = (path: Path): number => path.attributes.clusterList?.length ?? 0

/** RFC 4456 section 9: the originator stands for the router that reflected it. */
function routerIdOf(path: Path): bigint {
  return (path.attributes.originatorId ?? path.received?.neighbour.remoteRouterId)?.value ?? 0n
}

function addrRank(path: Path): bigint {
  const addr = path.received?.neighbour.remoteAddr
  return addr === undefined ? 0n : (BigInt(addr.family) << 128n) | addr.value
}

/** Up to here paths must be equal to be used together. That the cost to next hops is equal is taken for granted. */
const qualities: readonly Step[] = [
  { rank: (path) => (path.received === undefined ? 0 : 1), reason: () => 'own route' },
  {
    rank: (path) => (path.isLongLivedStale ? 1 : 0),
    reason: () => 'not long-lived stale (RFC 9494)',
  },
  {
    rank: (path) => -localPreferenceOf(path),
    reason: (winner, loser) =>
      `higher local preference: ${localPreferenceOf(winner)} instead of ${localPreferenceOf(loser)}`,
  },
  { rank: length, reason: (winner, loser) => `shorter AS path: ${length(winner)} instead of ${length(loser)}` },
  {
    rank: (path) => path.attributes.origin,
    reason: (winner, loser) =>
      `better origin: ${originNames[winner.attributes.origin]} instead of ${originNames[loser.attributes.origin]}`,
  },
  {
    rank: med,
    // only the same AS's numbers can be compared; paths from within the own AS are of one
    group: (path) => firstAsnOf(path.attributes.asPath),
    reason: (winner, loser) => `lower MED from the same AS: ${med(winner)} instead of ${med(loser)}`,
  },
  { rank: (path) => (path.isInternal ? 1 : 0), reason: () => 'external preferred over internal' },
]

const tieBreakers: readonly Step[] = [
  {
    rank: routerIdOf,
    reason: (winner, loser) => `lower router id: ${routerIdText(winner)} instead of ${routerIdText(loser)}`,
  },
  {
    rank: clusters,
    reason: (winner, loser) => `shorter cluster list: ${clusters(winner)} instead of ${clusters(loser)}`,
  },
  {
    rank: addrRank,
    reason: (winner, loser) =>
      `lower peer address: ${winner.received?.neighbour.remoteAddr} instead of ${loser.received?.neighbour.remoteAddr}`,
  },
  // link-local addresses of two links may be the same
  {
    rank: (path) => path.source?.peer ?? '',
    reason: (winner, loser) => `peer name first in order: ${winner.source?.peer} before ${loser.source?.peer}`,
  },
]

const allSteps = [...qualities, ...tieBreakers]

function routerIdText({ attributes, received }: Path): string {
  return `${attributes.originatorId ?? received?.neighbour.remoteRouterId}`
}

/** Those that a step leaves. */
function passing(paths: readonly Path[], { rank, group }: Step): readonly Path[] {
  if (paths.length === 1) return paths
  if (group === undefined) {
    let least = rank(paths[0]!)
    let isEqual = true
    for (let index = 1; index < paths.length; index++) {
      const other = rank(paths[index]!)
      if (other !== least) isEqual = false
      if (other < least) least = other
    }
    return isEqual ? paths : paths.filter((path) => rank(path) === least)
  }
  const least = new Map<number | undefined, Rank>()
  for (const path of paths) {
    const known = least.get(group(path))
    if (known === undefined || rank(path) < known) least.set(group(path), rank(path))
  }
  return paths.filter((path) => rank(path) === least.get(group(path)))
}

function best(paths: readonly Path[]): Path {
  return tieBreakers.reduce(passing, paths)[0]!
}

export type Selection = {
  readonly best: Path
  /** With `best`, which is the first. */ readonly multipath: readonly Path[]
}
export type DecisionOptions = Pick<SpeakerConfig, 'maxPaths' | 'multipathRelax' | 'reach'>

const sameAsPath = (one: Path, other: Path): boolean =>
  JSON.stringify(one.attributes.asPath) === JSON.stringify(other.attributes.asPath)

/** Of at least one path. */
export function select(paths: readonly Path[], options: DecisionOptions): Selection {
  if (paths.length === 1) return { best: paths[0]!, multipath: paths }
  const equal = qualities.reduce(passing, reachableOf(paths, options.reach))
  const first = best(equal)
  const multipath = [first]
  // one route has one isAllowed: a path that a policy grants is not used together with one that no policy grants
  let others = equal.filter(
    (path) =>
      path !== first && path.isAllowed === first.isAllowed && (options.multipathRelax || sameAsPath(path, first)),
  )
  while (others.length > 0 && multipath.length < options.maxPaths) {
    const next = best(others)
    // of several that lead to one next hop, such as of two route reflectors, one is enough
    const isNew = !multipath.some(({ received }) => received?.nextHop.addr.equals(next.received!.nextHop.addr))
    if (isNew || next.received?.nextHop.addr.isLinkLocal === true) multipath.push(next)
    others = others.filter((path) => path !== next)
  }
  return { best: first, multipath }
}

/** For each path why it has its place. */
export function explain(paths: readonly Path[], options: DecisionOptions): ReadonlyMap<Path, string> {
  const reasons = new Map<Path, string>()
  const { best: chosen, multipath } = select(paths, options)
  let rest = reachableOf(paths, options.reach)
  const alone = chosen.received === undefined ? 'own route' : 'the only next hop that can be reached'
  let last = rest.length === paths.length ? 'the only path' : alone
  for (const path of paths) {
    const { received } = path
    if (received === undefined || rest.includes(path)) continue
    const { addr, isPassedOn } = nextHopOf(received)
    const missing =
      received.neighbour.config.isNode === true ? 'is on no link of this node' : 'is not reached: no route leads there'
    reasons.set(
      path,
      `not as good: its next hop ${addr} ${missing}${isPassedOn === true ? `; ${nextHopSelfRemedy}` : ''}`,
    )
  }
  for (const step of allSteps) {
    const left = passing(rest, step)
    const isLeft = new Set(left)
    for (const path of rest) {
      if (isLeft.has(path)) continue
      const winner = left.find((other) => step.group === undefined || step.group(other) === step.group(path))!
      const reason = step.reason(step.group === undefined && isLeft.has(chosen) ? chosen : winner, path)
      reasons.set(path, `not as good: the best has ${reason}`)
      last = reason
    }
    rest = left
  }
  reasons.set(chosen, last)
  for (const path of multipath) if (path !== chosen) reasons.set(path, 'as good as the best (multipath)')
  return reasons
}
