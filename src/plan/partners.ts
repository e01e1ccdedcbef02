// Which nodes this node asks whether packets arrive. Every agent computes the same two rings from the names of nodes alone: one of all nodes, and
// one of those on its own link. A node asks those that come next in each. So it is asked by no more than it asks, nothing is exchanged, and a node
// that comes or goes changes one partner of a few nodes. Pure.

/** How many nodes one node asks at most, and by how many it is asked. */
export const mostPartners = 8

export type Candidate = {
  readonly name: string
  /** It is on a link that this node is on as well. */
  readonly isNear: boolean
}

const perRing = mostPartners / 2

/** FNV-1a, and then the finalizer of MurmurHash3: names that differ in their last digit alone are far apart on the ring. */
function placeOf(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

type Place = { readonly name: string; readonly distance: number }

const isBefore = (a: Place, b: Place): boolean =>
  a.distance < b.distance || (a.distance === b.distance && a.name < b.name)

/** The names that come next behind `self`. Two rings with different `ring` have nothing to do with each other. */
function next(self: string, names: Iterable<string>, ring: string): string[] {
  const own = placeOf(ring + self)
  const nearest: Place[] = []
  for (const name of names) {
    const distance = (placeOf(ring + name) - own) >>> 0
    // who has the same place stands before or behind, by the name
    const place = { name, distance: distance === 0 && name < self ? 2 ** 32 : distance }
    const last = nearest[perRing - 1]
    if (last !== undefined && !isBefore(place, last)) continue
    const at = nearest.findIndex((each) => isBefore(place, each))
    nearest.splice(at < 0 ? nearest.length : at, 0, place)
    nearest.length = Math.min(nearest.length, perRing)
  }
  return nearest.map(({ name }) => name)
}

/** The partners of node `self`, sorted. Where there are no more than `mostPartners` other nodes, these are all of them. */
export function partnersOf(self: string, others: readonly Candidate[]): string[] {
  const names = others.map(({ name }) => name)
  if (names.length <= mostPartners) return names.toSorted()
  const near = others.filter(({ isNear }) => isNear).map(({ name }) => name)
  return [...new Set([...next(self, names, 'all '), ...next(self, near, 'near ')])].toSorted()
}
