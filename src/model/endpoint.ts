// The life of an endpoint, which is one pod's interface on this node; docs/datapath.md says which code may change it in which state.

/** The states of an endpoint, in the order of its life. */
export const endpointStates = [
  /** The endpoint has its addresses and its MAC. Whether any of its devices exist in the kernel is not known. */
  'reserved',
  /** The endpoint's devices are in the kernel, cut off from all others. */
  'wired',
  /** The rules for what the pod may send and receive are in the kernel too. */
  'policed',
  /** The endpoint's ADD has been answered with success, or is about to be: the pod uses the network. */
  'ready',
  /** The endpoint's DEL has begun: the pod neither sends nor receives any more, but its addresses are still reserved. */
  'leaving',
] as const
export type EndpointState = (typeof endpointStates)[number]

/**
 * Whether an endpoint in state `from` may be put into state `to`. An endpoint only goes forward, and may skip states: what is true in one
 * state of an ADD is true in the later ones too, so an ADD that waits for nothing goes from reserved to ready in one step. Any endpoint may
 * leave; none comes back from that. A second ADD of the same interface makes a new endpoint.
 */
export function mayFollow(from: EndpointState, to: EndpointState): boolean {
  return endpointStates.indexOf(from) < endpointStates.indexOf(to)
}
