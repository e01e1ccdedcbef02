// Ways that are broken and for which nobody knows a cause: those of which one router says the same, or of one node that reaches no other, are one
// finding. Pure.
import { natureOf } from './ranks.ts'
import { isWhole } from './losses.ts'
import { crossing, type Parts, partsOf } from './parts.ts'
import { routerGroups } from './routers.ts'
import { type FollowedPacket, type NodeAnswers, type Sign } from './types.ts'

type Way = { readonly sign: Sign; readonly ends: readonly string[] }

/** ways: all packets are lost; part: some; size: large ones alone. */
export type WayHarm = 'ways' | 'part' | 'size'

/**
 * Signs of one finding: of which routers say the same, about a node all of whose ways are broken, about parts of the cluster that do not reach each
 * other, or about a way.
 */
export type WayGroup = {
  readonly harm: WayHarm
  readonly isOfRouters?: true
  readonly node?: string
  readonly parts?: Parts
  readonly signs: Sign[]
}

/** What is lost on the way; undefined for signs that are of no way. */
function harmOf({ code, loss }: Sign): WayHarm | undefined {
  if (code === 'CW8102') return 'part'
  const { rank, isOf } = natureOf(code)
  if (rank !== 'seen' && rank !== 'packet') return undefined
  return loss?.isOfSize === true || !isOf.includes('ways') ? 'size' : 'ways'
}

/** The nodes between which packets are lost; a sign of a node alone is of all its ways. */
export function endsOf({ extent: { at, peers = [] }, nodes }: Sign): readonly string[] {
  return (at === undefined ? [...nodes] : [at, ...peers]).toSorted()
}

/** The nodes of which some way has no such harm; and the parts of which each reaches itself. */
export type Reach = { readonly [H in WayHarm]: ReadonlySet<string> } & { readonly parts: Parts }

/** The nodes of pairs between which all probes of both find all ways whole. */
function withoutLoss(answers: readonly NodeAnswers[]): Set<string> {
  const ways = answers.flatMap(({ node, peers }) =>
    (peers?.ways ?? []).map((way) => ({ ends: [node, way.node].toSorted(), state: way.state })),
  )
  const pairs = [...Map.groupBy(ways, ({ ends }) => ends.join(' ')).values()]
  return new Set(pairs.filter((pair) => pair.every(({ state }) => state === 'ok')).flatMap(([way]) => way!.ends))
}

export function reachOf(packets: readonly FollowedPacket[], answers: readonly NodeAnswers[]): Reach {
  const whole = packets.filter((packet) => isWhole(packet) && packet.from.node !== packet.to.node)
  const nodesOf = (some: readonly FollowedPacket[]): Set<string> =>
    new Set(some.flatMap(({ from, to }) => [from.node, to.node]))
  const size = nodesOf(whole.filter(({ fullBytes }) => fullBytes !== undefined))
  return { ways: nodesOf(whole), part: withoutLoss(answers), size, parts: partsOf(answers, packets) }
}

/** The node with the most broken ways of those that reach nobody, and have several. */
function commonNode(ways: readonly Way[], reach: ReadonlySet<string>): string | undefined {
  const others = new Map<string, Set<string>>()
  for (const { ends } of ways)
    for (const end of ends.filter((each) => !reach.has(each))) {
      const known = others.get(end) ?? new Set()
      for (const other of ends) if (other !== end) known.add(other)
      others.set(end, known)
    }
  const [most] = [...others].toSorted(([a, one], [b, other]) => other.size - one.size || a.localeCompare(b))
  return most !== undefined && most[1].size > 1 ? most[0] : undefined
}

/** What the node itself tells of those that tell it, and packets between them. */
function isOpposite({ sign, ends }: Way, node: string, same: readonly Way[]): boolean {
  return (
    sign.object !== `node/${node}` && ends.includes(node) && same.some((way) => way.ends.join(' ') === ends.join(' '))
  )
}

/** The groups of signs that are of ways between nodes; other signs are in none. */
export function brokenWays(roots: readonly Sign[], reach: Reach): WayGroup[] {
  return (['ways', 'part', 'size'] as const).flatMap((harm) => {
    const all = roots.filter((sign) => harmOf(sign) === harm)
    const ofRouters = routerGroups(all)
    const known = new Set(ofRouters.flat())
    const ways = all.filter((sign) => !known.has(sign)).map((sign): Way => ({ sign, ends: endsOf(sign) }))
    const apart = harm === 'ways' ? crossing(ways, reach.parts) : undefined
    const rest = apart === undefined ? ways : ways.filter((way) => !apart.ways.includes(way))
    const groups: Omit<WayGroup, 'harm'>[] = [
      ...ofRouters.map((signs) => ({ isOfRouters: true as const, signs })),
      ...(apart === undefined ? [] : [{ parts: apart.parts, signs: apart.ways.map(({ sign }) => sign) }]),
      ...groupsOf(rest, reach[harm]),
    ]
    return groups.map((group) => ({ harm, ...group }))
  })
}

function groupsOf(ways: readonly Way[], reach: ReadonlySet<string>): Omit<WayGroup, 'harm'>[] {
  const groups: Omit<WayGroup, 'harm'>[] = []
  // what several nodes tell of one is about that one
  const told = Map.groupBy(ways, ({ sign: { object } }) => object)
  const known = [...told].filter(([object, same]) => object.startsWith('node/') && same.length > 1)
  for (const [object, same] of known) {
    const node = object.replace('node/', '')
    groups.push({
      node,
      signs: ways.filter((way) => same.includes(way) || isOpposite(way, node, same)).map(({ sign }) => sign),
    })
  }
  const grouped = new Set(groups.flatMap(({ signs }) => signs))
  let left = ways.filter(({ sign }) => !grouped.has(sign))
  for (;;) {
    const node = commonNode(left, reach)
    if (node === undefined) break
    groups.push({ node, signs: left.filter(({ ends }) => ends.includes(node)).map(({ sign }) => sign) })
    left = left.filter(({ ends }) => !ends.includes(node))
  }
  for (const same of Map.groupBy(left, ({ ends }) => ends.join(' ')).values())
    groups.push({ signs: same.map(({ sign }) => sign) })
  return groups
}
