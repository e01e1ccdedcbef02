// The model of one nftables table: what a plan asks for, what is rendered as `nft` text and what becomes netlink messages.
// It holds just the expressions that a node needs; everything in it can be read back from the kernel and compared.
import { type Addr, type Family, type Prefix } from '#/lib/addr.ts'

/** Families in which we make tables: `inet` sees IPv4 and IPv6 alike, `netdev` sees a device's packets before them. */
export type NftFamily = 'inet' | 'netdev'

export type NftTable = {
  readonly family: NftFamily
  readonly name: string
  readonly sets: readonly NftSet[]
  readonly chains: readonly NftChain[]
}

/**
 * A named set of addresses. `elements` may overlap, touch or repeat, in any order: what reaches the kernel is merged.
 * Without `interval` each element is one address (a prefix must then hold just one).
 */
export type NftSet = {
  readonly name: string
  readonly type: 'ipv4_addr' | 'ipv6_addr'
  readonly interval: boolean
  /** Each element counts the packets that rules find it by. */
  readonly counter?: boolean
  readonly elements: readonly (Prefix | Addr)[]
}

export type NftHookName = 'ingress' | 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting'

/** Where packets enter a base chain. Lower priorities come first; `device` belongs to `ingress` and only to it. */
export type NftHook = {
  readonly type: 'filter' | 'nat'
  readonly hook: NftHookName
  readonly priority: number
  readonly device?: string
}

/** `policy` is what happens to a packet that no rule decided; `accept` when left out. Base chains alone have one. */
export type NftChain = {
  readonly name: string
  readonly hook?: NftHook
  readonly policy?: 'accept' | 'drop'
  readonly rules: readonly NftRule[]
}

/** All of `match` must hold, in this order. `comment` says to the reader of `nft list` what the rule is for. */
export type NftRule = {
  readonly comment: string
  readonly match: readonly NftMatch[]
  readonly action: NftAction
}

export type NftMatch =
  /** IPv4 or IPv6. Matches on addresses bring it along by themselves. */
  | { readonly kind: 'family'; readonly family: Family }
  | { readonly kind: 'addr'; readonly field: 'saddr' | 'daddr'; readonly prefix: Prefix; readonly not?: boolean }
  | {
      readonly kind: 'addrSet'
      readonly field: 'saddr' | 'daddr'
      readonly family: Family
      readonly set: string
      readonly not?: boolean
    }
  /** A device by name; one ending in `*` stands for all that begin so. */
  | { readonly kind: 'device'; readonly field: 'iifname' | 'oifname'; readonly name: string; readonly not?: boolean }
  | { readonly kind: 'l4proto'; readonly protocol: 'tcp' | 'udp'; readonly not?: boolean }
  /** Needs an `l4proto` match before it. */
  | { readonly kind: 'dport'; readonly port: number; readonly not?: boolean }
  /** Whether the destination is one of this host's own addresses. */
  | { readonly kind: 'daddrLocal'; readonly not?: boolean }
  | { readonly kind: 'mark'; readonly mask: number; readonly value: number; readonly not?: boolean }
  | { readonly kind: 'ctState'; readonly states: readonly NftCtState[] }
  /** The VXLAN network identifier (RFC 7348 section 5). Needs an `l4proto` match on udp before it. */
  | { readonly kind: 'vni'; readonly vni: number; readonly not?: boolean }

export type NftCtState = 'established' | 'related'

export type NftAction =
  | { readonly kind: 'accept' }
  | { readonly kind: 'drop'; readonly counter?: boolean }
  | { readonly kind: 'return' }
  /** Keeps conntrack off the packet, and lets it pass. Needs a hook before conntrack's, that is a priority below -200. */
  | { readonly kind: 'notrack' }
  /** In a chain of type nat. `fullyRandom` draws source ports at random: two nodes' worth of DNS otherwise collide. */
  | { readonly kind: 'masquerade'; readonly fullyRandom?: boolean }
  /** Makes the packet one for this host whatever its MAC address. Kernels take it in netdev ingress chains alone. */
  | { readonly kind: 'pktTypeHost' }
  | { readonly kind: 'setMark'; readonly value: number }
  /** Sets these bits of the mark and leaves the others. */
  | { readonly kind: 'orMark'; readonly value: number }

/** A ruleset that cannot be meant: a bug in what produced it. The message names the object. */
export class RulesetError extends Error {
  override name = 'RulesetError'
}

/** The family of packets that a match selects, if it does. */
export function ipFamilyOf(match: NftMatch): Family | undefined {
  if (match.kind === 'addr') return match.prefix.family
  return match.kind === 'family' || match.kind === 'addrSet' ? match.family : undefined
}
