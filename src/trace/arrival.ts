// Whether a probe came to its end, and its answer to the sender: by what was seen in their namespaces.
import { type End, type TraceFacts } from './trace-facts.ts'
import { type Sighting } from './types.ts'
import { type Hop } from './way.ts'

/** Whether a hop is in the namespace of that end. */
export function isAtEnd({ node, pod }: { readonly node: string; readonly pod?: string }, end: End): boolean {
  return end.pod === undefined ? pod === undefined && node === end.node : pod === end.pod
}

/**
 * A copy that a socket has taken leaves the other, for which there is no socket, to be dropped; and what a socket does not take, such as by the
 * filter of a ping(8) that waits for another echo, is a copy too.
 */
const isTaken = ({ place, drop }: Sighting): boolean =>
  place !== 'drop' || drop?.reason === 'NO_SOCKET' || drop?.reason.startsWith('SOCKET_') === true

/** What of the answer came into the sender's own namespace as its last place. */
export function arrivedAnswer(
  { from }: TraceFacts,
  hops: readonly Hop[],
  sightings: readonly Sighting[],
): Sighting | undefined {
  const end = hops.findLast(({ isExpected }) => isExpected)
  // a way ends early where something is in it
  if (end?.sighting !== undefined && isAtEnd(end, from) && !isDropped(end.sighting, sightings)) return end.sighting
  // where nothing is known of the way, or its last place is one where the kernel shows nothing
  return sightings.findLast(
    (each) =>
      isAtEnd(each, from) &&
      (each.place === 'read' || each.place === 'receive' || isTaken(each)) &&
      (from.pod !== undefined || end === undefined) &&
      !isStopped(each, sightings),
  )
}

/** The drops in that namespace, from that time on, but those for want of a socket. */
function dropsAt({ node, pod, timeMs }: Sighting, sightings: readonly Sighting[]): Sighting[] {
  return sightings.filter(
    (each) =>
      each.node === node && each.pod === pod && each.timeMs >= timeMs && each.place === 'drop' && !isTaken(each),
  )
}

function isDropped(at: Sighting, sightings: readonly Sighting[]): boolean {
  return dropsAt(at, sightings).length > 0
}

/** Whether the kernel says why it dropped it: old ones give no reason where they free what nobody has waited for. */
function isStopped(at: Sighting, sightings: readonly Sighting[]): boolean {
  return dropsAt(at, sightings).some(({ drop }) => drop !== undefined && drop.reason !== 'NOT_SPECIFIED')
}

export function hasArrived({ to, predictions }: TraceFacts, hops: readonly Hop[], there: readonly Sighting[]): boolean {
  const end = hops.findLast(({ isExpected }) => isExpected)
  // in a node's own namespace it may have come to the last place that is expected, and meet something there
  const isCutShort =
    to.pod === undefined && predictions.there.at(-1)?.steps.some(({ isObstacle }) => isObstacle) === true
  if (
    end?.sighting !== undefined &&
    isAtEnd(end, to) &&
    !isCutShort &&
    (to.pod !== undefined || !isDropped(end.sighting, there))
  )
    return true
  return there.some(
    (each) => isAtEnd(each, to) && (each.place === 'read' || (to.pod !== undefined && each.place === 'receive')),
  )
}

/**
 * Whether it was not the receiver that said that nothing listens: a firewall that rejects a packet says so in the receiver's name. The packet never
 * came into the receiver's namespace then, or a rule there has dropped it.
 */
export function isForged({ to, sightings, blind }: TraceFacts): boolean {
  if (to.node === undefined || blind.some(({ node }) => node === to.node)) return false
  const own = sightings.filter((each) => isAtEnd(each, to))
  return own.length === 0 || own.some(({ role, drop }) => role === 'probe' && drop?.reason === 'NETFILTER_DROP')
}
