// The nftables tables of a node: masquerade for what leaves the cluster, who may bring packets through the tunnel, and
// what pods may not send to the node.
import { type Addr, type Family, Prefix, families } from '#/lib/addr.ts'
import { kubeProxyMark, tableName, tunnelEndSets, vxlanName } from '#/model/names.ts'
import { type NftChain, type NftRule, type NftSet, type NftTable } from '#/wire/nftables/ruleset.ts'

/** NF_IP_PRI_NAT_SRC, which nft calls srcnat. */
const srcnatPriority = 100
/** NF_IP_PRI_RAW: before conntrack, which is to be spared the tunnel's packets. */
const rawPriority = -300
const multicast = { 4: Prefix.parse('224.0.0.0/4'), 6: Prefix.parse('ff00::/8') } as const
export type NodeTableInput = {
  /** From which this node's pods have addresses. */
  readonly podCIDRs: readonly Prefix[]
  /** Everything that is a pod, here or elsewhere. */
  readonly clusterCIDRs: readonly Prefix[]
  /** The devices by which pods' packets come into the node's own stack. */
  readonly podDevices: readonly string[]
  /** When absent, VXLAN is accepted from every sender. */
  readonly tunnel?: { readonly port: number; readonly ends: readonly Addr[] }
}

const clusterSetName = (family: Family): string => `cluster${family}`
const setType = (family: Family): NftSet['type'] => (family === 4 ? 'ipv4_addr' : 'ipv6_addr')

function clusterSet(family: Family, clusterCIDRs: readonly Prefix[]): NftSet {
  const elements = clusterCIDRs.filter((cidr) => cidr.family === family)
  return { name: clusterSetName(family), type: setType(family), interval: true, elements }
}

function masqueradeRule(podCIDR: Prefix): NftRule {
  const family = podCIDR.family
  return {
    comment: `masquerade pods of ${podCIDR} that leave the cluster`,
    match: [
      { kind: 'addr', field: 'saddr', prefix: podCIDR },
      { kind: 'addrSet', field: 'daddr', family, set: clusterSetName(family), not: true },
      { kind: 'addr', field: 'daddr', prefix: multicast[family], not: true },
    ],
    action: { kind: 'masquerade', fullyRandom: true },
  }
}

/** kube-proxy marks what it wants masqueraded, and does it itself. */
const leaveToKubeProxy: NftRule = {
  comment: 'kube-proxy masquerades what it marked',
  match: [{ kind: 'mark', mask: kubeProxyMark, value: kubeProxyMark }],
  action: { kind: 'return' },
}

function tunnelSets(ends: readonly Addr[]): NftSet[] {
  return families.flatMap((family) => {
    const elements = ends.filter((addr) => addr.family === family)
    return tunnelEndSets(family).map((name) => ({
      name,
      type: setType(family),
      interval: false,
      counter: true,
      elements,
    }))
  })
}

/**
 * VXLAN has no way to tell who sent a packet but its outer source, so this is what keeps others from putting packets into the
 * cluster: only nodes may send it to this one, and pods may not send it at all, as masquerade would make it come from here.
 * (To pods' own addresses they may: nobody decapsulates there.) Rules that let through count by peer.
 */
function tunnelChains(port: number, podDevices: readonly string[]): NftChain[] {
  const hook = (name: 'prerouting' | 'output') => ({ type: 'filter', hook: name, priority: rawPriority }) as const
  // every packet of the node comes by, and hardly one is of the tunnel's outside
  const others: NftRule[] = [
    {
      comment: 'not the tunnel',
      match: [{ kind: 'l4proto', protocol: 'udp', not: true }],
      action: { kind: 'accept' },
    },
    {
      comment: 'not the tunnel either',
      match: [
        { kind: 'l4proto', protocol: 'udp' },
        { kind: 'dport', port, not: true },
      ],
      action: { kind: 'accept' },
    },
  ]
  const known = (family: Family, field: 'saddr' | 'daddr', set: string, what: string): NftRule => ({
    comment: `${what}, untracked`,
    match: [{ kind: 'addrSet', field, family, set }],
    action: { kind: 'notrack' },
  })
  const fromPods = (device: string, family: Family): NftRule => ({
    comment: `pods may not send VXLAN (IPv${family})`,
    match: [
      { kind: 'device', field: 'iifname', name: device },
      { kind: 'addrSet', field: 'daddr', family, set: clusterSetName(family), not: true },
    ],
    action: { kind: 'drop', counter: true },
  })
  return [
    {
      name: 'tunnel-in',
      hook: hook('prerouting'),
      policy: 'accept',
      rules: [
        ...others,
        ...podDevices.flatMap((device) => families.map((family) => fromPods(device, family))),
        ...families.map((family) =>
          known(family, 'saddr', tunnelEndSets(family)[0], `VXLAN from a node (IPv${family})`),
        ),
        {
          comment: 'VXLAN from whoever is no node',
          match: [{ kind: 'daddrLocal' }],
          action: { kind: 'drop', counter: true },
        },
      ],
    },
    {
      name: 'tunnel-out',
      hook: hook('output'),
      policy: 'accept',
      rules: [
        ...others,
        ...families.map((family) => known(family, 'daddr', tunnelEndSets(family)[1], `VXLAN to a node (IPv${family})`)),
      ],
    },
  ]
}

/** UDP port of BFD's control packets, RFC 5881 section 4. */
const bfdPort = 3784
/** NF_IP_PRI_FILTER */
const filterPriority = 0

/**
 * A BFD packet takes a BGP session down when it comes from where the neighbour is, by its source address; and pods can write any source
 * address. Pods are nobody's routers.
 */
function podsIn(podDevices: readonly string[]): NftChain {
  return {
    name: 'pods-in',
    hook: { type: 'filter', hook: 'input', priority: filterPriority },
    policy: 'accept',
    rules: podDevices.map((name) => ({
      comment: 'pods may not send BFD to this node',
      match: [
        { kind: 'device', field: 'iifname', name },
        { kind: 'l4proto', protocol: 'udp' },
        { kind: 'dport', port: bfdPort },
      ],
      action: { kind: 'drop', counter: true },
    })),
  }
}

export function nodeTable({ podCIDRs, clusterCIDRs, podDevices, tunnel }: NodeTableInput): NftTable {
  const postrouting: NftChain = {
    name: 'postrouting',
    hook: { type: 'nat', hook: 'postrouting', priority: srcnatPriority },
    policy: 'accept',
    rules: [leaveToKubeProxy, ...podCIDRs.map(masqueradeRule)],
  }
  return {
    family: 'inet',
    name: tableName,
    sets: [...families.map((family) => clusterSet(family, clusterCIDRs)), ...(tunnel ? tunnelSets(tunnel.ends) : [])],
    chains: [postrouting, podsIn(podDevices), ...(tunnel ? tunnelChains(tunnel.port, podDevices) : [])],
  }
}

/**
 * Every overlay route points to one made-up VTEP, so frames arrive for a MAC that no device has. This takes them in.
 * (The VXLAN device cannot have that MAC on all nodes: vxlan_set_mac drops frames that seem to come from itself.)
 */
export const takeInTable: NftTable = {
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
