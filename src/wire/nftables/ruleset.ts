// The model of one nftables table: plans produce it, and it is rendered as `nft` text or turned into netlink messages. It has only the
// expressions that a node needs, and everything in it can be read back from the kernel and compared.
import { type Addr, type Family, type Prefix } from '#/lib/addr.ts'

/**
 * Families in which Causeway makes tables: `inet` sees both IPv4 and IPv6, `netdev` sees a device's packets before them, `bridge` the
 * frames that a bridge hands on, whatever is in them.
 */
export type NftFamily = 'inet' | 'netdev' | 'bridge'

/** What names a table. */
export type NftTableName = { readonly family: NftFamily; readonly name: string }

export type NftTable = NftTableName & {
  readonly sets: readonly NftSet[]
  readonly keySets?: readonly NftKeySet[]
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
  /** The elements come and go by themselves: they are not compared, those here are only put into a new table. */
  readonly dynamic?: boolean
  readonly elements: readonly (Prefix | Addr)[]
}

/** A part of the key of a set: nft's name of its type. */
export type NftKeyType = 'ipv4_addr' | 'ipv6_addr' | 'inet_proto' | 'inet_service' | 'ifname'

/** The parts of a key: addresses, numbers of protocols and ports, complete names of devices. */
export type NftKey = readonly (Addr | number | string)[]

/** A named set of keys of one or more parts, looked up by their hash. It has no ranges. Single addresses are in an NftSet. */
export type NftKeySet = {
  readonly name: string
  readonly type: readonly NftKeyType[]
  /** Whether each element counts the packets that match it. */
  readonly counter?: boolean
  /** As in NftSet. */
  readonly dynamic?: boolean
  readonly elements: readonly NftKey[]
}

export type NftVerdict =
  | { readonly kind: 'accept' | 'drop' | 'return' }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string }

/** What of a packet is looked up in a set. */
export type NftField = 'saddr' | 'daddr' | 'l4proto' | 'sport' | 'dport' | 'iifname' | 'oifname'

/** Fields in the order of the key's parts; `family` is that of the addresses among them. */
export type NftLookup = { readonly fields: readonly NftField[]; readonly family?: Family }

/** Numbers from `first` to `last`, both included. */
export type NumberRange = { readonly first: number; readonly last: number }

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
  /** Matches the protocol above IP, behind extension headers of IPv6. */
  | { readonly kind: 'l4proto'; readonly protocol: NftProtocol; readonly not?: boolean }
  | { readonly kind: 'l4protos'; readonly protocols: readonly NftProtocol[]; readonly not?: boolean }
  /** Matches a source or destination port; needs a match before it on protocols that have ports. */
  | { readonly kind: 'sport' | 'dport'; readonly port: number; readonly not?: boolean }
  /** As sport and dport, for any number of ports in one look-up. */
  | {
      readonly kind: 'ports'
      readonly field: 'sport' | 'dport'
      readonly ranges: readonly NumberRange[]
      readonly not?: boolean
    }
  /** Matches types of ICMP; needs matches before it on that family and on `icmp`, or `icmpv6`. */
  | { readonly kind: 'icmpType'; readonly family: Family; readonly types: readonly number[]; readonly not?: boolean }
  /** Matches the first packet of a TCP connection, the SYN; needs an `l4proto` match on tcp before it. */
  | { readonly kind: 'tcpSyn'; readonly not?: boolean }
  /** Matches a TTL, or of IPv6 a hop limit, that is less than `ttl`. */
  | { readonly kind: 'ttlBelow'; readonly family: Family; readonly ttl: number }
  /** Matches if the destination is one of this host's own addresses. */
  | { readonly kind: 'daddrLocal'; readonly not?: boolean }
  /** Matches if the source is. */
  | { readonly kind: 'saddrLocal'; readonly not?: boolean }
  | { readonly kind: 'mark'; readonly mask: number; readonly value: number; readonly not?: boolean }
  | { readonly kind: 'ctState'; readonly states: readonly NftCtState[] }
  /** Matches packets of connections whose destination was translated. */
  | { readonly kind: 'ctDnat' }
  /** Matches the destination port that the first packet of the connection had before it was translated. */
  | { readonly kind: 'ctOriginalPort'; readonly port: number }
  /** Matches the VXLAN network identifier (RFC 7348 section 5). Needs an `l4proto` match on udp before it. */
  | { readonly kind: 'vni'; readonly vni: number; readonly not?: boolean }

  /** Matches packets in the direction of the connection's first packet, or the answers. */
  | { readonly kind: 'ctDirection'; readonly direction: 'original' | 'reply' }
  /** Matches what is above Ethernet, whether or not the frame has a VLAN tag that the device took off. */
  | { readonly kind: 'etherType'; readonly types: readonly NftEtherType[]; readonly not?: boolean }
  /** Matches a MAC address, in family bridge. */
  | { readonly kind: 'etherAddr'; readonly field: 'saddr' | 'daddr'; readonly mac: string; readonly not?: boolean }
  /** Matches frames to a group of devices, broadcasts among them (the I/G bit of IEEE 802), in family bridge. */
  | { readonly kind: 'etherMulticast'; readonly not?: boolean }
  /** Matches frames of any VLAN but 0, which is none, also when the device took the tag off, in family bridge. */
  | { readonly kind: 'vlan' }
  /** Matches what is for this host by its MAC: in family bridge, the bridge's own, or that of the port by which it came. */
  | { readonly kind: 'pktTypeHost'; readonly not?: boolean }
  /** Matches packets with a route that is in no realm. Frames of a bridge have one once br_netfilter has led them through the rules for IP. */
  | { readonly kind: 'hasRoute' }
  /** Matches at most so many packets a second, `burst` of them at once. Put it last: what comes before it must hold for a packet to count. */
  | { readonly kind: 'limit'; readonly packetsPerSecond: number; readonly burst: number }
  /** Matches packets whose fields are together in a set of keys. */
  | ({ readonly kind: 'keySet'; readonly set: string; readonly not?: boolean } & NftLookup)

export type NftCtState = 'established' | 'related' | 'new' | 'invalid' | 'untracked'
/** A protocol by name or by its number. */
export type NftProtocol = 'tcp' | 'udp' | 'sctp' | 'icmp' | 'icmpv6' | number
/** As nft calls them; those of VLAN tags are behind the tag that the device took off. */
export type NftEtherType = 'ip' | 'ip6' | 'arp' | '8021q' | '8021ad'

export type NftAction =
  | { readonly kind: 'accept'; readonly counter?: boolean }
  | { readonly kind: 'drop'; readonly counter?: boolean }
  | { readonly kind: 'return'; readonly counter?: boolean }
  /** Goes on in a chain without a hook, and comes back if no rule there decides. */
  | { readonly kind: 'jump'; readonly chain: string; readonly counter?: boolean }
  /** As `jump`, without coming back: the base chain's policy decides if no rule there does, or the rules behind the last jump. */
  | { readonly kind: 'goto'; readonly chain: string; readonly counter?: boolean }
  /** Counts the packet and goes on with the next rule. */
  | { readonly kind: 'count' }
  /** Copies the packet, or its first `snaplen` bytes, to whoever listens to the group (src/wire/nflog), and goes on with the next rule. */
  | {
      readonly kind: 'log'
      readonly group: number
      readonly prefix: string
      readonly snaplen?: number
      readonly counter?: boolean
    }
  /** Exempts the packet from conntrack, and accepts it. Needs a hook before conntrack's, that is a priority below -200. */
  | { readonly kind: 'notrack' }
  /** Masquerades, in a chain of type nat. `fullyRandom` draws source ports at random; otherwise simultaneous DNS queries collide. */
  | { readonly kind: 'masquerade'; readonly fullyRandom?: boolean }
  /** Translates the destination, in a chain of type nat; needs an `l4proto` match, and a match that fixes the family to that of `addr`. */
  | { readonly kind: 'dnat'; readonly addr: Addr; readonly port: number }
  /**
   * Makes the packet one for this host whatever its MAC address. Kernels accept this only in ingress chains of netdev, in prerouting chains of
   * bridge, and in chains that only these jump to.
   */
  | { readonly kind: 'pktTypeHost' }
  /** Writes another destination into the Ethernet header, in family bridge. */
  | { readonly kind: 'setEtherDaddr'; readonly mac: string }
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
  return 'family' in match ? match.family : undefined
}
