// The state a node publishes so that the others know how it crosses to them. Pure.
import { type ObjectKind, someMean } from '#/model/object-kinds.ts'
import { type Routing, type RoutingState, type Way, ways } from '#/model/routing.ts'
import { type WayCounts } from './remote-tally.ts'

export type RoutingFacts = {
  readonly mode: Routing
  /** How many pod CIDRs are reached through the tunnel, and how many natively. */
  readonly counts: WayCounts
  /** Whether any node may send VXLAN to this one. */
  readonly needsOverlay: boolean
  readonly hasOverlay: boolean
  /** The kinds of kernel objects of which at least one could not be brought to its planned state. */
  readonly failedKinds: ReadonlySet<ObjectKind>
  readonly before: RoutingState | undefined
}

/** The state describes the kernel, not the plan: where a change failed, the former state still holds. */
export function routingStateFor(facts: RoutingFacts): RoutingState {
  const { mode, counts, needsOverlay, hasOverlay, failedKinds, before } = facts
  const mayStillSend = someMean(failedKinds, ({ keepsFormerWay }) => keepsFormerWay)
  const isStillSent = (way: Way): boolean => mayStillSend && before?.sends.includes(way) === true
  const sends = {
    vxlan: counts.vxlan > 0 || mode === 'vxlan',
    native: counts.native > 0 || mode === 'native',
  }
  // a node with routing vxlan announces VXLAN even without an underlay: then no packet can reach it in any case
  const canTake = hasOverlay || mode === 'vxlan'
  const isInDoubt = someMean(failedKinds, ({ isTunnelInDoubt }) => isTunnelInDoubt)
  const isTaken = needsOverlay && canTake && (!isInDoubt || before === undefined || before.accepts.includes('vxlan'))
  return {
    mode,
    sends: ways.filter((way) => sends[way] || isStillSent(way)),
    accepts: isTaken ? ways : ['native'],
  }
}
