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
export const keyTypes = { ipv4_addr: 7, ipv6_addr: 8 } as const

/** NFT_SET_INTERVAL */
export const SET_INTERVAL = 4
