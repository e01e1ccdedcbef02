// The cluster's nodes as BGP's plan needs them.
import { conditionOf, type KubeNode, labelsOf } from '#/model/kubernetes.ts'
import { type BgpMember } from '#/plan/bgp-member.ts'
import { factsOf } from '../cluster/node-facts.ts'

/** Made once for each Node object: objects are replaced when they change. */
const known = new WeakMap<KubeNode, BgpMember>()

export function memberOf(node: KubeNode): BgpMember {
  const before = known.get(node)
  if (before) return before
  const { podCIDRs, extraCIDRs, formerCIDRs, addrs, routingState, life } = factsOf(node)
  const member: BgpMember = {
    name: node.metadata.name,
    podCIDRs,
    ...(extraCIDRs.length > 0 && { extraCIDRs }),
    ...(formerCIDRs.length > 0 && { formerCIDRs }),
    addrs,
    life,
    labels: labelsOf(node),
    isReady: conditionOf(node, 'Ready').status === 'True',
    // what the node tells of itself; without a word it is taken for one that knows nothing of native routing
    isTunnelOnly: (routingState?.mode ?? 'vxlan') === 'vxlan',
  }
  known.set(node, member)
  return member
}
