// What the kernel's reasons for dropping a packet mean (include/net/dropreason-core.h), where that is more than their names say.
import { type ProblemCode, problemCatalogue } from '#/model/problem-catalogue.ts'
import { type StepKind } from '#/model/trace.ts'
import { type Drop } from './types.ts'

type ReasonWords = {
  readonly text: string
  /** The problem that it is, whatever was predicted; without `remedy` it has that of the catalogue. */
  readonly code?: ProblemCode
  readonly remedy?: string
  /** What of a node's predicted steps such a drop is about. */
  readonly kinds: readonly StepKind[]
}

/** It waits for a MAC that nobody tells, perhaps since no pod has the address, or a route, or the table of a tunnel's device, leads to where nobody is. */
const waiting: readonly StepKind[] = ['neighbour', 'route', 'fdb', 'deliver']
const firewall: readonly StepKind[] = ['nftables', 'policy', 'service']

const xdp: ReasonWords = { text: 'an XDP program dropped it', remedy: 'look at: bpftool net', kinds: ['program'] }

const reasons: Readonly<Record<string, ReasonWords>> = {
  NETFILTER_DROP: {
    text: 'a rule of a firewall dropped it',
    remedy: 'look for the rule: nft list ruleset; iptables-save; for policies: causeway policy why',
    kinds: firewall,
  },
  IP_RPFILTER: {
    text: 'the reverse path filter dropped it: this node would not send to its source by the device that it came from',
    remedy: 'set net.ipv4.conf.all.rp_filter and that of the device to 0 or 2, or mend the route to the source',
    kinds: ['route'],
  },
  IP_INADDRERRORS: {
    text: 'it is not for this host, and the host does not forward what comes from that device',
    remedy: 'set net.ipv4.ip_forward and net.ipv4.conf.DEVICE.forwarding to 1, or those of net.ipv6.conf',
    kinds: ['route'],
  },
  IP_INNOROUTES: {
    text: 'there is no route to its destination',
    remedy: 'look at the route: ip route get',
    kinds: ['route'],
  },
  IP_OUTNOROUTES: {
    text: 'there is no route to its destination',
    remedy: 'look at the route: ip route get',
    kinds: ['route'],
  },
  PKT_TOO_BIG: {
    text: 'it is larger than the MTU of the way on, and may not be cut into fragments',
    remedy: 'send smaller packets, or raise the MTU of the way',
    kinds: ['mtu'],
  },
  IP_INHDR: { text: 'its IP header is not valid here, or its time to live is over', kinds: ['route'] },
  IP_CSUM: { text: 'the checksum of its IP header is wrong', kinds: [] },
  UDP_CSUM: {
    text: 'its UDP checksum is wrong',
    code: 'CW8103',
    remedy: 'switch checksum offload of the sending device off: ethtool -K DEVICE tx off',
    kinds: [],
  },
  TCP_CSUM: {
    text: 'its TCP checksum is wrong',
    code: 'CW8103',
    remedy: 'switch checksum offload of the sending device off: ethtool -K DEVICE tx off',
    kinds: [],
  },
  ICMP_CSUM: { text: 'its ICMP checksum is wrong', kinds: [] },
  NO_SOCKET: { text: 'no process listens there', kinds: ['deliver'] },
  OTHERHOST: {
    text: 'its frame is addressed to another MAC',
    code: 'CW8105',
    remedy: 'look at the neighbour entry of the next hop on NODE: ip neigh show',
    kinds: ['neighbour', 'fdb'],
  },
  UNKNOWN_L4_PROTO: { text: 'nothing handles its protocol there', kinds: ['deliver'] },
  XFRM_POLICY: { text: 'an IPsec policy forbids it', remedy: 'look at: ip xfrm policy', kinds: [] },
  NEIGH_FAILED: { text: 'the next hop does not answer ARP or neighbour discovery', kinds: waiting },
  // an entry that there is, whatever is wrong with it, need not be made: no predicted step is about this
  NEIGH_CREATEFAIL: { text: 'the table of neighbours is full', code: 'CW8107', kinds: [] },
  NEIGH_QUEUEFULL: { text: 'too many packets wait for the MAC of the next hop', kinds: waiting },
  NEIGH_DEAD: { text: 'the entry of the next hop was removed while it waited', kinds: waiting },
  QUEUE_PURGE: { text: 'it was still waiting when its queue was emptied', kinds: waiting },
  TC_INGRESS: {
    text: 'a tc or eBPF program dropped it as it came in',
    remedy: 'look at: tc filter show dev DEVICE ingress; bpftool net; causeway datapath',
    kinds: ['program', 'policy'],
  },
  TC_EGRESS: {
    text: 'a tc or eBPF program dropped it as it went out',
    remedy: 'look at: tc filter show dev DEVICE egress; bpftool net; causeway datapath',
    kinds: ['program', 'policy'],
  },
  XDP: xdp,
  QDISC_DROP: { text: 'the queue of the device was full', remedy: 'look at: tc -s qdisc show dev DEVICE', kinds: [] },
  CPU_BACKLOG: { text: 'a processor had too many packets waiting', kinds: [] },
  DEV_READY: { text: 'the device is down', remedy: 'ip link set DEVICE up', kinds: ['bridge', 'tunnel'] },
  SOCKET_FILTER: { text: 'the filter of the socket refused it', kinds: ['deliver'] },
  SOCKET_RCVBUFF: { text: 'the process does not read what waits for it', kinds: ['deliver'] },
  VXLAN_VNI_NOT_FOUND: {
    text: 'no VXLAN device here has its network identifier',
    remedy: 'all nodes must have the same VNI',
    kinds: ['tunnel'],
  },
  NO_TX_TARGET: {
    text: 'the VXLAN device knows no tunnel end for its MAC',
    remedy: 'look at: bridge fdb show dev DEVICE; ip neigh show dev DEVICE',
    kinds: ['neighbour', 'fdb', 'tunnel'],
  },
  VXLAN_INVALID_HDR: { text: 'its VXLAN header has flags that the device does not expect', kinds: ['tunnel'] },
  VXLAN_ENTRY_EXISTS: { text: 'the VXLAN device learned another place for its MAC', kinds: ['fdb', 'tunnel'] },
  LOCAL_MAC: { text: "its frame comes from the receiver's own MAC", kinds: ['fdb', 'tunnel'] },
  BRIDGE_INGRESS_STP_STATE: { text: 'the port of the bridge is blocked by the spanning tree', kinds: ['bridge'] },
  IP_LOCAL_SOURCE: { text: 'it came from outside with an address of this host as its source', kinds: ['route'] },
  IP_INVALID_SOURCE: { text: 'its source address cannot be', kinds: ['route'] },
  IPV6DISABLED: { text: 'IPv6 is switched off there', remedy: 'set net.ipv6.conf.DEVICE.disable_ipv6 to 0', kinds: [] },
}

/** Where the kernel tells no reason, the function that freed the packet tells something. */
const functions: readonly (readonly [RegExp, ReasonWords])[] = [
  [
    /^(__dev_forward_skb|veth_xmit|____dev_forward_skb)/,
    {
      text: 'the other end of the device is down, or its MTU is smaller than the packet',
      remedy: 'compare the MTU of both ends: ip link show',
      kinds: ['mtu', 'deliver'],
    },
  ],
  [
    /^(ip_error|ip6_pkt_(drop|discard|prohibit))/,
    {
      text: 'a route throws it away: blackhole, unreachable or prohibit',
      remedy:
        'look for it: ip rule show; ip route show table all (ip -6 for IPv6); a rule may go by a mark that a firewall sets (fwmark), which "ip route get" has to be given',
      kinds: ['route'],
    },
  ],
  [
    /^ip6_fragment/,
    {
      text: 'it is larger than what the way on carries, and may not be cut into fragments',
      remedy: 'send smaller packets, or raise the MTU of the way: ip -6 route get',
      kinds: ['mtu'],
    },
  ],
  [
    /^(nf_hook_slow|nft_do_chain|ipt_do_table|ip6t_do_table)/,
    { text: 'a rule of a firewall dropped it', kinds: firewall },
  ],
  // the XDP that any device has gives no reason
  [/xdp/, xdp],
  [/^(tcf_|cls_bpf|sch_handle|tc_run)/, { text: 'a tc or eBPF program dropped it', kinds: ['program', 'policy'] }],
  [/^vxlan_/, { text: 'the VXLAN device did not take it', kinds: ['tunnel', 'fdb'] }],
  // IPv6 tells no reason where IPv4 has NEIGH_FAILED
  [/^(neigh_|arp_|ndisc_)/, { text: 'the next hop has no MAC', kinds: waiting }],
  [/^(br_|__br_)/, { text: 'the bridge did not pass it on', kinds: ['bridge', 'fdb'] }],
]

export function reasonWords({ reason, function: name }: Drop): ReasonWords | undefined {
  const words = reasons[reason] ?? functions.find(([pattern]) => pattern.test(name))?.[1]
  return words?.code === undefined ? words : { remedy: problemCatalogue[words.code].remedy, ...words }
}

/** "NETFILTER_DROP in nft_do_chain", as the kernel calls it. */
export function kernelWords({ reason, function: name }: Drop): string {
  const plain = name.replace(/\+0x.*$/, '')
  return reason === 'NOT_SPECIFIED' ? `in ${plain}, which tells no reason` : `${reason} in ${plain}`
}
