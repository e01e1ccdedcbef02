// Whether a probe came to its end, and its answer to the sender: by what was seen in their namespaces.
import { readPacket } from './packet.ts'
import { type End, goalNode, type TraceFacts } from './trace-facts.ts'
import { type Prediction, type Sighting, type Step } from './types.ts'
import { type Hop } from './way.ts'

/** Whether a hop is in the namespace of that end. */
export function isAtEnd({ node, pod }: { readonly node: string; readonly pod?: string }, end: End): boolean {
  return end.pod === undefined ? pod === undefined && node === end.node : pod === end.pod
}

/**
 * A copy that a socket has taken leaves the other, for which there is no socket, to be dropped; and what a socket does not take, such as by the
 * filter of a ping(8) that waits for another echo, is a copy too.
 */
const isWantedByNobody = ({ drop }: Sighting): boolean =>
  drop?.reason === 'NO_SOCKET' || drop?.reason.startsWith('SOCKET_') === true

const isTaken = (sighting: Sighting): boolean => sighting.place !== 'drop' || isWantedByNobody(sighting)

/** What an end's namespace has in the way of a packet to it, at the last place that is expected or behind it. */
export function obstaclesAtEnd(end: End, predictions: readonly Prediction[], hops: readonly Hop[]): Step[] {
  const last = hops.findLast(({ isExpected }) => isExpected)
  const before = last === undefined ? [] : hops.slice(0, hops.indexOf(last))
  const isPassed = (device: string | undefined): boolean =>
    device !== last?.device && before.some((hop) => isAtEnd(hop, end) && hop.device === device)
  return predictions
    .filter(({ node }) => end.node === undefined || node === end.node)
    .flatMap(({ steps }) => steps)
    .filter(({ isObstacle, pod, device }) => isObstacle && pod === end.pod && !isPassed(device))
}

/** In a node's own namespace a packet may have come to the last place that is expected, and meet something there. */
function isCutShort(end: End, predictions: readonly Prediction[], hops: readonly Hop[]): boolean {
  return end.pod === undefined && obstaclesAtEnd(end, predictions, hops).length > 0
}

/** A node has what comes to it through a tunnel only when it is out of that. */
function isInTunnel({ bytes, startsAt }: Sighting): boolean {
  return (readPacket(Uint8Array.fromHex(bytes), startsAt)?.tunnels.length ?? 0) > 0
}

/** Whether the namespace sends it again behind that. */
function isSentOn({ node, pod, timeMs }: Sighting, sightings: readonly Sighting[]): boolean {
  return sightings.some(
    (each) =>
      each.node === node &&
      each.pod === pod &&
      each.timeMs >= timeMs &&
      (each.place === 'queue' || each.place === 'transmit'),
  )
}

/** What of the answer came into the sender's own namespace as its last place. */
export function arrivedAnswer(
  { from, predictions }: TraceFacts,
  hops: readonly Hop[],
  sightings: readonly Sighting[],
): Sighting | undefined {
  const end = hops.findLast(({ isExpected }) => isExpected)
  const seen = end && isAtEnd(end, from) ? end.sighting : undefined
  // a way ends early where something is in it: then what takes the answer is the proof
  const isProved = (at: Sighting): boolean =>
    !isCutShort(from, predictions.back, hops) ||
    sightings.some(
      (each) => isAtEnd(each, from) && each.timeMs >= at.timeMs && (each.place === 'read' || isWantedByNobody(each)),
    )
  if (seen !== undefined && !isDropped(seen, sightings) && isProved(seen)) return seen
  // where nothing is known of the way, or its last place is one where the kernel shows nothing
  return sightings.findLast(
    (each) =>
      isAtEnd(each, from) &&
      (each.place === 'read' || each.place === 'receive' || isTaken(each)) &&
      (from.pod !== undefined || (end === undefined && !isInTunnel(each) && !isSentOn(each, sightings))) &&
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
  // a frame that a bridge brings, or a wrong entry, and that is for another MAC: the end never takes it
  if (there.some((each) => isAtEnd(each, to) && each.drop?.reason === 'OTHERHOST')) return false
  const end = hops.findLast(({ isExpected }) => isExpected)
  if (
    end?.sighting !== undefined &&
    isAtEnd(end, to) &&
    !isCutShort(to, predictions.there, hops) &&
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
  const goal = goalNode(to)
  if (goal === undefined || blind.some(({ node }) => node === goal)) return false
  // who has an address that no pod is known to have takes the packet there
  const isTaker = (each: Sighting): boolean =>
    each.node === goal && each.role === 'probe' && (each.place === 'read' || isWantedByNobody(each))
  const own = sightings.filter((each) => (to.node === undefined ? isTaker(each) : isAtEnd(each, to)))
  return own.length === 0 || own.some(({ role, drop }) => role === 'probe' && drop?.reason === 'NETFILTER_DROP')
}
