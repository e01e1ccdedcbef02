// The cluster's nodes as BGP's plan needs them.
import { conditionOf, type KubeNode, labelsOf } from '#/model/kubernetes.ts'
import { type Routing } from '#/model/routing.ts'
import { type BgpMember } from '#/plan/bgp-member.ts'
import { factsOf } from '../node-facts.ts'

export type ClusterMember = BgpMember & {
  /** What it tells of itself. */
  readonly routing: Routing
}

/** Made once for each Node object: objects are replaced when they change. */
const known = new WeakMap<KubeNode, ClusterMember>()

export function memberOf(node: KubeNode): ClusterMember {
  const before = known.get(node)
  if (before) return before
  const { podCIDRs, addrs, routingState } = factsOf(node)
  const member: ClusterMember = {
    name: node.metadata.name,
    podCIDRs,
    addrs,
    labels: labelsOf(node),
    isReady: conditionOf(node, 'Ready').status === 'True',
    routing: routingState?.mode ?? 'vxlan',
  }
  known.set(node, member)
  return member
}
