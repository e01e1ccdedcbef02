// The model of one nftables table: plans produce it, and it is rendered as `nft` text or turned into netlink messages. It has only the
// expressions that a node needs, and everything in it can be read back from the kernel and compared.
import { type Addr, type Family, type Prefix } from '#/lib/addr.ts'

/** Families in which Causeway makes tables: `inet` sees both IPv4 and IPv6, `netdev` sees a device's packets before them. */
export type NftFamily = 'inet' | 'netdev'

export type NftTable = {
  readonly family: NftFamily
  readonly name: string
  readonly sets: readonly NftSet[]
  readonly chains: readonly NftChain[]
}

/**
 * A named set of addresses. `elements` may overlap, touch or repeat, in any order: the kernel gets them merged. Without `interval` each
 * element is one address (a prefix must then contain just one).
 */
export type NftSet = {
  readonly name: string
  readonly type: 'ipv4_addr' | 'ipv6_addr'
  readonly interval: boolean
  /** Whether each element counts the packets that match it. */
  readonly counter?: boolean
  readonly elements: readonly (Prefix | Addr)[]
}

export type NftHookName = 'ingress' | 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting'

/** The point where packets enter a base chain. Lower priorities come first; `device` is for `ingress` only. */
export type NftHook = {
  readonly type: 'filter' | 'nat'
  readonly hook: NftHookName
  readonly priority: number
  readonly device?: string
}

/** `policy` applies to a packet that no rule decided; the default is `accept`. Only base chains have a policy. */
export type NftChain = {
  readonly name: string
  readonly hook?: NftHook
  readonly policy?: 'accept' | 'drop'
  readonly rules: readonly NftRule[]
}

/** All of `match` must hold, in this order. `comment` tells the reader of `nft list` the rule's purpose. */
export type NftRule = {
  readonly comment: string
  readonly match: readonly NftMatch[]
  readonly action: NftAction
}

export type NftMatch =
  /** Matches IPv4 or IPv6. Matches on addresses include this match by themselves. */
  | { readonly kind: 'family'; readonly family: Family }
  | { readonly kind: 'addr'; readonly field: 'saddr' | 'daddr'; readonly prefix: Prefix; readonly not?: boolean }
  | {
      readonly kind: 'addrSet'
      readonly field: 'saddr' | 'daddr'
      readonly family: Family
      readonly set: string
      readonly not?: boolean
    }
  /** Matches a device by name; a name ending in `*` stands for all names that begin so. */
  | { readonly kind: 'device'; readonly field: 'iifname' | 'oifname'; readonly name: string; readonly not?: boolean }
  | { readonly kind: 'l4proto'; readonly protocol: 'tcp' | 'udp' | 'sctp'; readonly not?: boolean }
  /** Matches a source or destination port; needs an `l4proto` match before it. */
  | { readonly kind: 'sport' | 'dport'; readonly port: number; readonly not?: boolean }
  /** Matches the first packet of a TCP connection, the SYN; needs an `l4proto` match on tcp before it. */
  | { readonly kind: 'tcpSyn'; readonly not?: boolean }
  /** Matches a TTL, or of IPv6 a hop limit, that is less than `ttl`. */
  | { readonly kind: 'ttlBelow'; readonly family: Family; readonly ttl: number }
  /** Matches if the destination is one of this host's own addresses. */
  | { readonly kind: 'daddrLocal'; readonly not?: boolean }
  | { readonly kind: 'mark'; readonly mask: number; readonly value: number; readonly not?: boolean }
  | { readonly kind: 'ctState'; readonly states: readonly NftCtState[] }
  /** Matches packets of connections whose destination was translated. */
  | { readonly kind: 'ctDnat' }
  /** Matches the destination port that the first packet of the connection had before it was translated. */
  | { readonly kind: 'ctOriginalPort'; readonly port: number }
  /** Matches the VXLAN network identifier (RFC 7348 section 5). Needs an `l4proto` match on udp before it. */
  | { readonly kind: 'vni'; readonly vni: number; readonly not?: boolean }

export type NftCtState = 'established' | 'related'

export type NftAction =
  | { readonly kind: 'accept' }
  | { readonly kind: 'drop'; readonly counter?: boolean }
  | { readonly kind: 'return' }
  /** Goes on in a chain without a hook, and comes back if no rule there decides. */
  | { readonly kind: 'jump'; readonly chain: string }
  /** Exempts the packet from conntrack, and accepts it. Needs a hook before conntrack's, that is a priority below -200. */
  | { readonly kind: 'notrack' }
  /** Masquerades, in a chain of type nat. `fullyRandom` draws source ports at random; otherwise simultaneous DNS queries collide. */
  | { readonly kind: 'masquerade'; readonly fullyRandom?: boolean }
  /** Translates the destination, in a chain of type nat; needs an `l4proto` match, and a match that fixes the family to that of `addr`. */
  | { readonly kind: 'dnat'; readonly addr: Addr; readonly port: number }
  /** Makes the packet one for this host whatever its MAC address. Kernels accept this only in netdev ingress chains. */
  | { readonly kind: 'pktTypeHost' }
  | { readonly kind: 'setMark'; readonly value: number }
  /** Sets these bits of the mark and leaves the other bits unchanged. */
  | { readonly kind: 'orMark'; readonly value: number }

/** A ruleset that cannot be valid: a bug in the code that made it. The message names the object. */
export class RulesetError extends Error {
  override name = 'RulesetError'
}

/** The IP family that a match selects; undefined when it selects none. */
export function ipFamilyOf(match: NftMatch): Family | undefined {
  if (match.kind === 'addr') return match.prefix.family
  return match.kind === 'family' || match.kind === 'addrSet' || match.kind === 'ttlBelow' ? match.family : undefined
}
