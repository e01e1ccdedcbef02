// The kernel's numbers for words in messages about chains and sets, for encoding and decoding.

/** enum nf_inet_hooks; `ingress` is from enum nf_dev_hooks, for the netdev family. */
export const hookNumbers = { ingress: 0, prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const

/** Names of the numbers that base chains of the other families have: enum nf_arp_hooks (arp), and enum nf_dev_hooks (netdev). */
export const arpHookNames = ['input', 'output', 'forward'] as const
export const deviceHookNames = ['ingress', 'egress'] as const
/** NF_INET_INGRESS, for which a chain of the family inet names a device. */
export const inetIngress = 5

export const policyNumbers = { drop: 0, accept: 1 } as const

/** Numbers of nft (its enum datatypes), which the kernel only stores for user space. */
export const keyTypes = {
  ipv4_addr: 7,
  ipv6_addr: 8,
  ether_type: 10,
  inet_proto: 12,
  inet_service: 13,
  icmp_type: 14,
  icmpv6_type: 29,
  ifname: 41,
} as const

/** NFT_SET_*: what a set may have. */
export const SET_ANONYMOUS = 1
export const SET_CONSTANT = 2
export const SET_INTERVAL = 4

/** The kernel's codes of verdicts: NF_DROP, NF_ACCEPT, and NFT_JUMP (-3), NFT_GOTO (-4), NFT_RETURN (-5). */
export const verdictCodes = {
  drop: 0,
  accept: 1,
  jump: 0xfffffffd,
  goto: 0xfffffffc,
  return: 0xfffffffb,
} as const

/** Numbers of protocols above IP (IANA, "Protocol Numbers"). */
export const ipProtocols = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132 } as const
/** IEEE 802 numbers of protocols above Ethernet. */
export const etherTypes = { ip: 0x0800, arp: 0x0806, '8021q': 0x8100, ip6: 0x86dd, '8021ad': 0x88a8 } as const
