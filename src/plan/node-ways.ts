// How packets leave for other nodes, as the routes of others in the main table say: by which device, with which MTU, and whether a router
// is between. The longest prefix counts. Pure.
import { type Addr, families, type Family } from '#/lib/addr.ts'
import { type NodeWay } from '#/model/network.ts'

/** The ways to prefixes of one length, by those bits of an address that count. */
type OfLength = { readonly hostBits: bigint; readonly ways: ReadonlyMap<bigint, NodeWay> }

export class NodeWays {
  /** The longest prefixes first. */
  readonly #byLength: { readonly [F in Family]: readonly OfLength[] }

  constructor(ways: Iterable<NodeWay> = []) {
    const byFamily = Map.groupBy(ways, ({ prefix }) => prefix.family)
    const of = (family: Family): OfLength[] =>
      [...Map.groupBy(byFamily.get(family) ?? [], ({ prefix }) => prefix.addr.bits - prefix.length)]
        .toSorted(([a], [b]) => a - b)
        .map(([bits, same]) => {
          const hostBits = BigInt(bits)
          return { hostBits, ways: new Map(same.map((way) => [way.prefix.addr.value >> hostBits, way])) }
        })
    this.#byLength = { 4: of(4), 6: of(6) }
  }

  /** The way to an address; undefined where there is no route. */
  find(addr: Addr): NodeWay | undefined {
    for (const { hostBits, ways } of this.#byLength[addr.family]) {
      const way = ways.get(addr.value >> hostBits)
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
