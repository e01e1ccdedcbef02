// How packets leave for other nodes, as the routes of others in the main table say: by which device, with which MTU, and whether a router
// is between. The longest prefix counts. Pure.
import { type Addr, families, type Family, Prefix } from '#/lib/addr.ts'
import { type NodeWay } from '#/model/network.ts'

export class NodeWays {
  /** For each length of a prefix, the longest first: the ways by prefix as text. */
  readonly #byLength: { readonly [F in Family]: (readonly [length: number, ways: Map<string, NodeWay>])[] }

  constructor(ways: Iterable<NodeWay> = []) {
    const byFamily = Map.groupBy(ways, ({ prefix }) => prefix.family)
    const of = (family: Family): (readonly [number, Map<string, NodeWay>])[] =>
      [...Map.groupBy(byFamily.get(family) ?? [], ({ prefix }) => prefix.length)]
        .toSorted(([a], [b]) => b - a)
        .map(([length, same]) => [length, new Map(same.map((way) => [String(way.prefix), way]))])
    this.#byLength = { 4: of(4), 6: of(6) }
  }

  /** The way to an address; undefined where there is no route. */
  find(addr: Addr): NodeWay | undefined {
    for (const [length, ways] of this.#byLength[addr.family]) {
      const way = ways.get(String(new Prefix(addr, length)))
      if (way) return way
    }
    return undefined
  }
}

const isAlike = (a: NodeWay | undefined, b: NodeWay): boolean =>
  a?.device === b.device && a.mtuBytes === b.mtuBytes && a.kind === b.kind && a.isFromNode === b.isFromNode

/**
 * Leaves out what says nothing new: a host that speaks BGP has a route for each node or more, nearly all alike. Of several ways to one
 * prefix the first counts. Sorted.
 */
export function essentialWays(ways: Iterable<NodeWay>): NodeWay[] {
  const byPrefix = new Map<string, NodeWay>()
  for (const way of ways) if (!byPrefix.has(String(way.prefix))) byPrefix.set(String(way.prefix), way)
  const essential: NodeWay[] = []
  for (const family of families) {
    const shorter: NodeWay[] = []
    const sorted = [...byPrefix.values()].filter(({ prefix }) => prefix.family === family)
    for (const [, same] of [...Map.groupBy(sorted, ({ prefix }) => prefix.length)].toSorted(([a], [b]) => a - b)) {
      const table = new NodeWays(shorter)
      // on-link ways stay: each says where a next hop is
      shorter.push(...same.filter((way) => way.kind === 'link' || !isAlike(table.find(way.prefix.addr), way)))
    }
    essential.push(...shorter)
  }
  return essential.toSorted((a, b) => a.prefix.compare(b.prefix))
}
