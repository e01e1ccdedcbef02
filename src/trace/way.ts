// One direction of a trace as one list: where the packet was to be seen, in order, and what was seen there. The order is that of the expected way:
// the clocks of two nodes may differ, and only what one node tells is ordered by its time.
import { type Direction, type Prediction, type Sighting, type WayPlace } from './types.ts'

export type Hop = Omit<WayPlace, 'place'> & {
  readonly node: string
  readonly place: Sighting['place']
  /** Whether it is one of the places of the expected way. */
  readonly isExpected: boolean
  /** Absent: the packet was not seen there. */
  readonly sighting?: Sighting
}

/** An ICMP error about the probe goes back as its answer does; one about the answer goes the way of the probe. */
export function directionOf({ role }: Sighting): Direction {
  return role === 'probe' || role === 'answer-error' ? 'there' : 'back'
}

/** The kernel tells no device of a packet that a process reads. */
function isAt(sighting: Sighting, { node, place, device, pod }: Omit<Hop, 'isExpected'>): boolean {
  if (sighting.node !== node || sighting.place !== place || sighting.pod !== pod) return false
  return place === 'read' || sighting.device === device
}

function hopOf(sighting: Sighting): Hop {
  const { node, place, device = '', pod } = sighting
  return { node, place, device, isExpected: false, sighting, ...(pod !== undefined && { pod }) }
}

/**
 * Behind the last hop of the same node that was seen before, or before the first one of that node. A node that has none yet stands where `nodes`, in
 * the order of the way, put it.
 */
function placeFor(hops: readonly Hop[], { node, timeMs }: Sighting, nodes: readonly string[]): number {
  const earlier = hops.findLastIndex((hop) => hop.sighting?.node === node && hop.sighting.timeMs <= timeMs)
  if (earlier >= 0) return earlier + 1
  const first = hops.findIndex((hop) => hop.node === node)
  if (first >= 0) return first
  const later = nodes.includes(node) ? nodes.slice(nodes.indexOf(node) + 1) : []
  const next = hops.findIndex((hop) => later.includes(hop.node))
  return next >= 0 ? next : hops.length
}

/**
 * The hops of one direction. `predictions` are of the nodes on the way, in order. A place is seen by the first packet that comes there; what was
 * seen elsewhere, a second time, or dropped stands where its node's time puts it. `nodes`: those of the two ends, in the order of the way.
 */
export function mergeWay(
  predictions: readonly Prediction[],
  sightings: readonly Sighting[],
  nodes: readonly string[] = [],
): Hop[] {
  const rest = sightings.toSorted((a, b) => a.timeMs - b.timeMs)
  const hops: Hop[] = predictions.flatMap(({ node, way }) =>
    way.map((place) => {
      const hop = { ...place, node, isExpected: true }
      const index = rest.findIndex((each) => isAt(each, hop))
      return index < 0 ? hop : { ...hop, sighting: rest.splice(index, 1)[0]! }
    }),
  )
  for (const sighting of rest) hops.splice(placeFor(hops, sighting, nodes), 0, hopOf(sighting))
  return hops
}

/** The last expected hop that was seen, and the next one, which was not. */
export type Gap = { readonly last?: Hop; readonly next?: Hop }

/** The last place on another node, behind that one. */
function beyondIn(hops: readonly Hop[], last: Hop, pods: readonly string[]): Hop | undefined {
  return hops
    .slice(hops.indexOf(last) + 1)
    .findLast(
      ({ node, place, pod }) =>
        node !== last.node && place !== 'drop' && place !== 'read' && (pod === undefined || pods.includes(pod)),
    )
}

/**
 * Places that were passed unseen do not count: whoever is seen behind them has passed them. Where nothing is known of the way, the last place of all
 * is the end of it, but of those in other pods than the ends: copies come there.
 */
export function gapIn(hops: readonly Hop[], pods: readonly string[]): Gap {
  const expected = hops.filter(({ isExpected }) => isExpected)
  if (expected.length === 0) {
    const end = hops.findLast(({ place, pod }) => place !== 'drop' && (pod === undefined || pods.includes(pod)))
    return end === undefined ? {} : { last: end }
  }
  const index = expected.findLastIndex(({ sighting }) => sighting !== undefined)
  const [last, next] = [expected[index], expected[index + 1]]
  // what is to be seen ends where the packet leaves for a node of which nobody knows that it goes there
  const beyond = last && next === undefined ? beyondIn(hops, last, pods) : undefined
  return { ...(last && { last: beyond ?? last }), ...(next && { next }) }
}
