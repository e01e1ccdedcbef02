// What others have told since the last pass, taken into the table of nodes and routes a portion at a time. Pure.
import { Prefix } from '#/lib/addr.ts'
import { type LearnedRouteChange } from '#/model/bgp.ts'
import { type KernelWay, type NetworkDelta } from '#/model/network.ts'
import { type NodeChange, type RemoteDelta, type RemoteNodes } from '#/plan/remote-nodes.ts'
import { nodesPerTurn } from './network-context.ts'

export type News = {
  readonly nodes: readonly NodeChange[]
  /** How the kernel reaches BGP's next hops, by address. */
  readonly hops: ReadonlyMap<string, KernelWay | undefined>
  readonly learned: readonly LearnedRouteChange[]
}

/** Each takes a portion into the table. Next hops come before the routes over them. */
export function portionsOf(
  { nodes, hops, learned }: News,
  remoteNodes: RemoteNodes,
  hasTunnel: boolean,
): (() => RemoteDelta)[] {
  return [
    ...batchesOf(nodes).map((portion) => () => remoteNodes.update(portion, hasTunnel)),
    ...(hops.size === 0 ? [] : [() => remoteNodes.updateKernelWays(hops, hasTunnel)]),
    ...batchesOf(learned).map((portion) => () => remoteNodes.updateLearned(portion, hasTunnel)),
  ]
}

function batchesOf<T>(changes: readonly T[]): T[][] {
  const count = Math.ceil(changes.length / nodesPerTurn)
  return Array.from({ length: count }, (_, index) => changes.slice(index * nodesPerTurn, (index + 1) * nodesPerTurn))
}

/** Whether a route of the delta overlaps one of the prefixes. */
export function touches({ routes }: NetworkDelta, cidrs: readonly Prefix[]): boolean {
  if (cidrs.length === 0) return false
  return [...routes.keys()].some((key) => cidrs.some((cidr) => cidr.overlaps(Prefix.parse(key))))
}
