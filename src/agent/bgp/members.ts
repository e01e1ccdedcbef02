// The cluster's nodes as BGP's plan needs them.
import { conditionOf, internalAddressesOf, type KubeNode, labelsOf, podCIDRsOf } from '#/model/kubernetes.ts'
import { type Routing, routingStateOf } from '#/model/routing.ts'
import { type BgpMember } from '#/plan/bgp-member.ts'

export type ClusterMember = BgpMember & {
  /** What it tells of itself. */
  readonly routing: Routing
}

/** A Node object is read once: objects are replaced when they change. */
const known = new WeakMap<KubeNode, ClusterMember>()

export function memberOf(node: KubeNode): ClusterMember {
  const before = known.get(node)
  if (before) return before
  const member: ClusterMember = {
    name: node.metadata.name,
    podCIDRs: podCIDRsOf(node).prefixes,
    addrs: internalAddressesOf(node).addrs,
    labels: labelsOf(node),
    isReady: conditionOf(node, 'Ready').status === 'True',
    routing: routingStateOf(node).state?.mode ?? 'vxlan',
  }
  known.set(node, member)
  return member
}
