// Numbers that stand for words in messages about chains and sets, used to write and to read them.

/** enum nf_inet_hooks; `ingress` is of enum nf_dev_hooks, the netdev family's. */
export const hookNumbers = { ingress: 0, prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const

export const policyNumbers = { drop: 0, accept: 1 } as const

/** The kernel only keeps these for user space: they are nft's own (its enum datatypes). */
export const keyTypes = { ipv4_addr: 7, ipv6_addr: 8 } as const

/** NFT_SET_INTERVAL */
export const SET_INTERVAL = 4
