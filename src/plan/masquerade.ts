// The nftables tables: masquerade for what leaves the cluster, and the door of the overlay.
import { type Family, Prefix } from '#/lib/addr.ts'
import { tableName, vxlanName } from '#/model/names.ts'
import { type NetworkSettings, type NodeState } from '#/model/network.ts'
import { type NftChain, type NftRule, type NftSet, type NftTable } from '#/wire/nftables/ruleset.ts'

/** NF_IP_PRI_NAT_SRC, which nft calls srcnat. */
const srcnatPriority = 100
const multicast = { 4: Prefix.parse('224.0.0.0/4'), 6: Prefix.parse('ff00::/8') } as const

/** Everything that is a pod, here or elsewhere: the cluster CIDRs and any pod CIDR that lies outside of them. */
function clusterSet(family: Family, nodes: readonly NodeState[], settings: NetworkSettings): NftSet {
  const cluster = settings.clusterCIDRs.filter((cidr) => cidr.family === family)
  const outside = nodes
    .flatMap(({ podCIDRs }) => podCIDRs)
    .filter((cidr) => cidr.family === family && !cluster.some((each) => each.contains(cidr)))
  return {
    name: `cluster${family}`,
    type: family === 4 ? 'ipv4_addr' : 'ipv6_addr',
    interval: true,
    elements: [...cluster, ...outside],
  }
}

function masqueradeRule(podCIDR: Prefix): NftRule {
  const family = podCIDR.family
  return {
    comment: `masquerade pods of ${podCIDR} that leave the cluster`,
    match: [
      { kind: 'addr', field: 'saddr', prefix: podCIDR },
      { kind: 'addrSet', field: 'daddr', family, set: `cluster${family}`, not: true },
      { kind: 'addr', field: 'daddr', prefix: multicast[family], not: true },
    ],
    action: { kind: 'masquerade', fullyRandom: true },
  }
}

/** `self` is this node, `nodes` all of the cluster, itself among them. */
export function masqueradeTable(self: NodeState, nodes: readonly NodeState[], settings: NetworkSettings): NftTable {
  const families = ([4, 6] as const).filter((family) => self.podCIDRs.some((cidr) => cidr.family === family))
  const postrouting: NftChain = {
    name: 'postrouting',
    hook: { type: 'nat', hook: 'postrouting', priority: srcnatPriority },
    policy: 'accept',
    rules: self.podCIDRs.map(masqueradeRule),
  }
  return {
    family: 'inet',
    name: tableName,
    sets: families.map((family) => clusterSet(family, nodes, settings)),
    chains: [postrouting],
  }
}

/**
 * Every overlay route points to one made-up VTEP, so frames arrive for a MAC that no device has. This takes them in.
 * (The VXLAN device cannot have that MAC on all nodes: vxlan_set_mac drops frames that seem to come from itself.)
 */
export const overlayTable: NftTable = {
  family: 'netdev',
  name: tableName,
  sets: [],
  chains: [
    {
      name: 'overlay-in',
      hook: { type: 'filter', hook: 'ingress', priority: 0, device: vxlanName },
      policy: 'accept',
      rules: [{ comment: 'take in frames for the shared VTEP', match: [], action: { kind: 'pktTypeHost' } }],
    },
  ],
}
