// Which nodes of an AS are route reflectors. Every node computes it alone, from what all nodes see alike, and must come to the same:
// rendezvous hashing (Thaler and Ravishankar, 1998) over topology domains and over the nodes in each. One node that comes or goes
// changes at most one reflector.
import { type BgpConfiguration } from '#/model/bgp-objects.ts'
import { selects } from '#/model/label-selector.ts'
import { fnv1a } from '#/model/names.ts'
import { type BgpMember } from './bgp-member.ts'

/** The finalizer of MurmurHash3 (fmix32): names that differ in one digit must not come in the order of the digit. */
function rankOf(text: string): number {
  let hash = fnv1a(text)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** Items in the order of their ranks; an item's rank does not change when others come or go. */
function byRank<T>(items: readonly T[], nameOf: (item: T) => string): T[] {
  return items
    .map((item) => ({ item, name: nameOf(item), rank: rankOf(nameOf(item)) }))
    .sort((a, b) => b.rank - a.rank || (a.name < b.name ? -1 : 1))
    .map(({ item }) => item)
}

/**
 * Nodes that are not ready are passed over, unless that is most of them: then something ails the cluster's view of its nodes, and
 * to choose others would not mend it.
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
  // one of each domain before a second one of any
  const rounds = Math.max(0, ...ranked.map((nodes) => nodes.length))
  for (let round = 0; round < rounds && chosen.size < count; round++) {
    for (const nodes of ranked) {
      const node = nodes[round]
      if (node !== undefined && chosen.size < count) chosen.add(node.name)
    }
  }
  return chosen
}

/** The names of the reflectors of an AS whose nodes these are; undefined: it has none, each of its nodes peers with each other. */
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
