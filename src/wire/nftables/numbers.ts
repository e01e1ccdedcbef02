// The kernel's numbers for words in messages about chains and sets, for encoding and decoding.

/** enum nf_inet_hooks; `ingress` is from enum nf_dev_hooks, for the netdev family. */
export const hookNumbers = { ingress: 0, prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const

export const policyNumbers = { drop: 0, accept: 1 } as const

/** Numbers of nft (its enum datatypes), which the kernel only stores for user space. */
export const keyTypes = { ipv4_addr: 7, ipv6_addr: 8 } as const

/** NFT_SET_INTERVAL */
export const SET_INTERVAL = 4
