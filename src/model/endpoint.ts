// The life of an endpoint, which is one pod's interface on this node; docs/datapath.md says who may touch it when.

/** What is true of an endpoint, in the order of its life. */
export const endpointStates = [
  /** Its addresses and its MAC are its own. Which of its devices the kernel has, nobody knows. */
  'reserved',
  /** Its devices are in the kernel, and cut off from all others. */
  'wired',
  /** What its pod may send and take is in the kernel too. */
  'policed',
  /** Its ADD has been answered with success, or is about to be: the pod uses the network. */
  'ready',
  /** Its DEL has begun: the pod sends and takes nothing any more, its addresses are still its own. */
  'leaving',
] as const
export type EndpointState = (typeof endpointStates)[number]

/**
 * Whether an endpoint in state `from` may be put into state `to`. An endpoint only goes forward, and may skip states: what is true
 * in a state on the way of an ADD is true in the later ones too, so an ADD that waits for nothing goes from reserved to ready in one
 * step. Any endpoint may leave; none comes back from that. A second ADD of the same interface makes a new endpoint.
 */
export function mayFollow(from: EndpointState, to: EndpointState): boolean {
  return endpointStates.indexOf(from) < endpointStates.indexOf(to)
}
