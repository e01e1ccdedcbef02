// Chooses the route reflectors of an AS. Every node computes the choice alone from the same data, and all must get the same result:
// rendezvous hashing (Thaler and Ravishankar, 1998) over topology domains and over the nodes in each. A node that joins or leaves
// changes at most one reflector.
import { type BgpConfiguration } from '#/model/bgp-objects.ts'
import { selects } from '#/model/label-selector.ts'
import { fnv1a } from '#/model/names.ts'
import { type BgpMember } from './bgp-member.ts'

/** A hash finished with MurmurHash3's fmix32, so that names that differ only in a digit are not ranked in the order of that digit. */
function rankOf(text: string): number {
  let hash = fnv1a(text)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** The items sorted by rank; an item's rank does not change when other items are added or removed. */
function byRank<T>(items: readonly T[], nameOf: (item: T) => string): T[] {
  return items
    .map((item) => ({ item, name: nameOf(item), rank: rankOf(nameOf(item)) }))
    .sort((a, b) => b.rank - a.rank || (a.name < b.name ? -1 : 1))
    .map(({ item }) => item)
}

/**
 * The ready nodes, or all nodes when most are not ready: then the fault is probably in how the cluster sees its nodes, and choosing
 * other reflectors would not repair it.
 */
function candidatesIn(members: readonly BgpMember[]): readonly BgpMember[] {
  const ready = members.filter(({ isReady }) => isReady)
  return ready.length * 2 >= members.length ? ready : members
}

function choose(members: readonly BgpMember[], { count, topologyKey }: BgpConfiguration['reflectors']): Set<string> {
  const domains = Map.groupBy(candidatesIn(members), ({ labels }) => labels[topologyKey] ?? '')
  const ranked = byRank([...domains], ([domain]) => `domain ${domain}`).map(([, nodes]) =>
    byRank(nodes, ({ name }) => `node ${name}`),
  )
  const chosen = new Set<string>()
  // chooses one node of each domain before a second node of any domain
  const rounds = Math.max(0, ...ranked.map((nodes) => nodes.length))
  for (let round = 0; round < rounds && chosen.size < count; round++) {
    for (const nodes of ranked) {
      const node = nodes[round]
      if (node !== undefined && chosen.size < count) chosen.add(node.name)
    }
  }
  return chosen
}

/** The names of an AS's reflectors; undefined when the AS has none and its nodes all peer with each other. `members` are its nodes. */
export function reflectorsOf(
  members: readonly BgpMember[],
  { nodeMesh, reflectors }: BgpConfiguration,
): ReadonlySet<string> | undefined {
  if (nodeMesh !== 'Auto') return undefined
  const { nodeSelector, above } = reflectors
  if (nodeSelector !== undefined) {
    const named = members.filter(({ labels }) => selects(nodeSelector, labels))
    if (named.length > 0) return new Set(named.map(({ name }) => name))
  }
  return members.length > above ? choose(members, reflectors) : undefined
}
