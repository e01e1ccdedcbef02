// The state a node publishes so that the others know how it crosses to them. Pure.
import { type ObjectKind, someMean } from '#/model/object-kinds.ts'
import { type Routing, type RoutingState, type Way, ways } from '#/model/routing.ts'
import { type WayCounts } from './remote-tally.ts'

export type RoutingFacts = {
  readonly mode: Routing
  /** How many pod CIDRs are reached which way. */
  readonly counts: WayCounts
  /** Whether any node may send VXLAN to this one. */
  readonly needsOverlay: boolean
  readonly hasOverlay: boolean
  /** Kinds of kernel objects that are not all as they should be. */
  readonly failedKinds: ReadonlySet<ObjectKind>
  readonly before: RoutingState | undefined
}

/** True of the kernel: what failed to be changed is as it was before. */
export function routingStateFor(facts: RoutingFacts): RoutingState {
  const { mode, counts, needsOverlay, hasOverlay, failedKinds, before } = facts
  const mayStillSend = someMean(failedKinds, ({ keepsFormerWay }) => keepsFormerWay)
  const isStillSent = (way: Way): boolean => mayStillSend && before?.sends.includes(way) === true
  const sends = {
    vxlan: counts.vxlan > 0 || mode === 'vxlan',
    native: counts.native > 0 || mode === 'native',
  }
  // a node with plain VXLAN and no underlay tells nothing of it: it can take nothing in any case
  const canTake = hasOverlay || mode === 'vxlan'
  const isInDoubt = someMean(failedKinds, ({ isTunnelInDoubt }) => isTunnelInDoubt)
  const isTaken = needsOverlay && canTake && (!isInDoubt || before === undefined || before.accepts.includes('vxlan'))
  return {
    mode,
    sends: ways.filter((way) => sends[way] || isStillSent(way)),
    accepts: isTaken ? ways : ['native'],
  }
}
