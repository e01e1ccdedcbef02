// The cluster's nodes as BGP's plan needs them.
import { conditionOf, internalAddressesOf, type KubeNode, labelsOf, podCIDRsOf } from '#/model/kubernetes.ts'
import { routingStateOf } from '#/model/routing.ts'
import { type BgpMember } from '#/plan/bgp-member.ts'

/** A Node object is read once: objects are replaced when they change. */
const known = new WeakMap<KubeNode, BgpMember>()

export function memberOf(node: KubeNode): BgpMember {
  const before = known.get(node)
  if (before) return before
  const member: BgpMember = {
    name: node.metadata.name,
    podCIDRs: podCIDRsOf(node).prefixes,
    addrs: internalAddressesOf(node).addrs,
    labels: labelsOf(node),
    isReady: conditionOf(node, 'Ready').status === 'True',
    // what the node tells of itself; without a word it is taken for one that knows nothing of native routing
    isTunnelOnly: (routingStateOf(node).state?.mode ?? 'vxlan') === 'vxlan',
  }
  known.set(node, member)
  return member
}
