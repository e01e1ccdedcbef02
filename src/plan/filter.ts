// The nftables tables of a node: they masquerade what leaves the cluster, restrict which senders may bring packets through the
// tunnel, and restrict what pods may send to the node.
import { type Addr, type Family, Prefix, families } from '#/lib/addr.ts'
import { kubeProxyMark, portPrefix, tableName, tunnelEndSets, vxlanName } from '#/model/names.ts'
import { guardChains, type SessionGuard } from './session-guards.ts'
import { type NftChain, type NftMatch, type NftRule, type NftSet, type NftTable } from '#/wire/nftables/ruleset.ts'

/** NF_IP_PRI_NAT_SRC, which nft calls srcnat. */
const srcnatPriority = 100
/** NF_IP_PRI_RAW: these chains run before conntrack, which need not track the tunnel's packets. */
const rawPriority = -300
const loopback = Prefix.parse('127.0.0.0/8')
const multicast = { 4: Prefix.parse('224.0.0.0/4'), 6: Prefix.parse('ff00::/8') } as const
export type NodeTableInput = {
  /** The CIDRs of this node's pods. */
  readonly podCIDRs: readonly Prefix[]
  /** The CIDRs of all pods, on this node or another. */
  readonly clusterCIDRs: readonly Prefix[]
  /** The devices through which pods' packets enter the node's own network stack. */
  readonly podDevices: readonly string[]
  /** Neighbours with TTL security; absent: none. */
  readonly guards?: readonly SessionGuard[] | undefined
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

/** kube-proxy marks the packets that it masquerades itself; this rule leaves those to kube-proxy. */
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
 * In VXLAN only the outer source address tells who sent a packet, so these chains keep foreign packets out of the cluster: only other
 * nodes may send VXLAN to this node. Pods may not send it at all, because masquerade would give it this node's address; the one exception
 * is VXLAN from pod to pod, which no node decapsulates. The sets that the accepting rules match count packets by node.
 *
 * Every packet of the node passes the hooks, and hardly any belongs to the tunnel; those that do come from nodes. So the rest are in chains
 * of their own: the rules that a packet meets are what the overlay costs beyond flannel's.
 */
function tunnelChains(port: number, podDevices: readonly string[]): NftChain[] {
  const known = (family: Family, field: 'saddr' | 'daddr', set: string, what: string): NftRule => ({
    comment: `${what}, untracked`,
    match: [{ kind: 'addrSet', field, family, set }],
    action: { kind: 'notrack' },
  })
  const outside = (family: Family, field: 'saddr' | 'daddr', comment: string): NftRule => ({
    comment: `${comment} (IPv${family})`,
    match: [{ kind: 'addrSet', field, family, set: clusterSetName(family), not: true }],
    action: { kind: 'drop', counter: true },
  })
  const toThisNode = (from: string, ...match: readonly NftMatch[]): NftRule => ({
    comment: `VXLAN to this node from ${from}`,
    match: [...match, { kind: 'daddrLocal' }],
    action: { kind: 'drop', counter: true },
  })
  const hooked = (name: string, hook: 'prerouting' | 'output', chain: string): NftChain => ({
    name,
    hook: { type: 'filter', hook, priority: rawPriority },
    policy: 'accept',
    rules: [
      {
        comment: 'the tunnel',
        match: [
          { kind: 'l4proto', protocol: 'udp' },
          { kind: 'dport', port },
        ],
        action: { kind: 'jump', chain },
      },
    ],
  })
  return [
    {
      name: 'tunnel-from-pods',
      rules: [
        ...families.flatMap((family) => [
          outside(family, 'daddr', 'pods may not send VXLAN'),
          // whoever takes VXLAN judges by the source, which a pod can forge
          outside(family, 'saddr', 'pods may not send VXLAN in the name of others'),
        ]),
        // no tunnel ends at a gateway of pods, and none leads through another
        toThisNode('pods'),
      ],
    },
    {
      name: 'tunnel-in',
      rules: [
        ...podDevices.map((device) => fromPods(device, 'tunnel-from-pods')),
        toThisNode(vxlanName, { kind: 'device', field: 'iifname', name: vxlanName }),
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
      rules: families.map((family) =>
        known(family, 'daddr', tunnelEndSets(family)[1], `VXLAN to a node (IPv${family})`),
      ),
    },
    hooked('raw-in', 'prerouting', 'tunnel-in'),
    hooked('raw-out', 'output', 'tunnel-out'),
  ]
}

function fromPods(device: string, chain: string): NftRule {
  return {
    comment: `from pods, by ${device}`,
    match: [{ kind: 'device', field: 'iifname', name: device }],
    action: { kind: 'jump', chain },
  }
}

/** UDP port of BFD's control packets, RFC 5881 section 4. */
const bfdPort = 3784
/** NF_IP_PRI_FILTER */
const filterPriority = 0

/**
 * Drops what pods may not send to this node: packets to its loopback addresses (`noLoopback`), and BFD. The source address alone makes a BFD
 * packet the neighbour's, pods can forge any source address, and a forged packet can take a BGP session down. No pod is a router of this
 * node. The chains have one look at what is not from pods, as the tunnel's packets come by here.
 */
function podsIn(podDevices: readonly string[]): NftChain[] {
  return [
    { name: 'pods-in', rules: [noBfd, ...noLoopback] },
    {
      name: 'node-in',
      hook: { type: 'filter', hook: 'input', priority: filterPriority },
      policy: 'accept',
      rules: [notByPorts, ...podDevices.map((device) => fromPods(device, 'pods-in'))],
    },
  ]
}

/**
 * A pod's own device is a port of a bridge, and IP comes in by the bridge. Only frames to the groups of bridges themselves (IEEE 802.1Q, table
 * 8-1: 01:80:c2:00:00:01 to 0f) go to the IP stack of the port, past all that is known of pods: they could bring VXLAN in the name of a node.
 * They reach this node alone; what came to a group of devices is never forwarded.
 */
const notByPorts: NftRule = {
  comment: 'pods come by their bridge',
  match: [{ kind: 'device', field: 'iifname', name: `${portPrefix}*` }],
  action: { kind: 'drop', counter: true },
}

const noBfd: NftRule = {
  comment: 'pods may not send BFD to this node',
  match: [
    { kind: 'l4proto', protocol: 'udp' },
    { kind: 'dport', port: bfdPort },
  ],
  action: { kind: 'drop', counter: true },
}

const toLoopback: NftMatch = { kind: 'addr', field: 'daddr', prefix: loopback }

/**
 * Host ports at 127.0.0.1 need route_localnet on the device of pods, with which the kernel lets pods' packets to 127.0.0.0/8 in. Replies to
 * the node's own connections have that address too by now, and are let through; so is what a rule of others leads there.
 */
const noLoopback: readonly NftRule[] = [
  {
    comment: 'replies to this node at a loopback address',
    match: [toLoopback, { kind: 'ctState', states: ['established', 'related'] }],
    action: { kind: 'accept' },
  },
  {
    comment: 'translated to a loopback address by a rule of others',
    match: [toLoopback, { kind: 'ctDnat' }],
    action: { kind: 'accept' },
  },
  {
    comment: 'pods may not send to loopback addresses of this node',
    match: [toLoopback],
    action: { kind: 'drop', counter: true },
  },
]

export function nodeTable({ podCIDRs, clusterCIDRs, podDevices, guards = [], tunnel }: NodeTableInput): NftTable {
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
    chains: [
      postrouting,
      ...podsIn(podDevices),
      ...guardChains(guards),
      ...(tunnel ? tunnelChains(tunnel.port, podDevices) : []),
    ],
  }
}

/**
 * Accepts frames for the made-up VTEP that every overlay route points to: no device has its MAC, so the kernel would drop them.
 * (The VXLAN device cannot have that MAC on all nodes: vxlan_set_mac drops frames whose source is the device's own MAC.)
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
