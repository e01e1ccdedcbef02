// The packets that must get through others' firewalls, as classes of which some fields are known, and how far a rule matches such a class.
import { type Family, type Prefix } from '#/lib/addr.ts'

/** What is known of the device that a packet comes in or goes out by. */
export type DeviceFact =
  | { readonly kind: 'named'; readonly name: string; readonly index?: number }
  /** Any device whose name begins so. */
  | { readonly kind: 'beginning'; readonly start: string }
  /** A device of the underlay: any that is neither the loopback device nor one of ours. */
  | { readonly kind: 'underlay' }
  | { readonly kind: 'none' }

export type PacketClass = {
  readonly family: Family
  readonly iif: DeviceFact
  readonly oif: DeviceFact
  /** The bridge that the incoming device is a port of, in chains of the family bridge. */
  readonly bridge?: string
  /** Requests and replies of ARP: of the fields below, none is theirs. */
  readonly isArp?: true
  /** On ingress and egress of a device, where the kernel sees frames. */
  readonly isFrame?: true
  readonly src: readonly Prefix[]
  readonly dst: readonly Prefix[]
  readonly protocol: 'tcp' | 'udp' | 'icmp'
  /** Absent: any port. */
  readonly dport?: number
  readonly sport?: number
  /** Of ICMP and ICMPv6. */
  readonly icmpType?: number
  readonly ctState: 'new' | 'established' | 'untracked'
  /** An address of it is, or will be, replaced: what marks and the state of its connection say of that is not known. */
  readonly isTranslated?: true
  /** Whether the destination is an address of this host. */
  readonly isLocal: boolean
}

/**
 * Which packets of a class a rule matches: none of them; some of them for sure not all of them (single ports, single addresses); maybe all
 * of them, which cannot be told; all of them. In this order, each is more than the one before.
 */
export type Level = 'none' | 'some' | 'maybe' | 'all'

const order: readonly Level[] = ['none', 'some', 'maybe', 'all']

/** The level at which two conditions hold together. */
export function both(a: Level, b: Level): Level {
  return order.indexOf(a) < order.indexOf(b) ? a : b
}

/** The level of the opposite condition. "Not one of some" may be nearly all. */
export function opposite(level: Level): Level {
  return level === 'none' ? 'all' : level === 'all' ? 'none' : 'maybe'
}

/**
 * What share ranges of addresses have of those that the packets of a class have in that field. A single pod is some of them; a range may
 * be one of several rules that together match all, as a rule for each node does.
 */
export function levelOfRanges(
  prefixes: readonly Prefix[],
  ranges: readonly { readonly first: bigint; readonly last: bigint }[],
): Level {
  if (prefixes.length === 0) return 'maybe'
  const isInside = (prefix: Prefix): boolean =>
    ranges.some(({ first, last }) => first <= prefix.addr.value && prefix.last.value <= last)
  const isTouched = (prefix: Prefix): boolean =>
    ranges.some(({ first, last }) => first <= prefix.last.value && prefix.addr.value <= last)
  if (prefixes.every(isInside)) return 'all'
  if (!prefixes.some(isTouched)) return 'none'
  const isOnePod =
    ranges.length === 1 &&
    ranges[0]!.first === ranges[0]!.last &&
    prefixes.every((each) => each.length < each.addr.bits)
  return isOnePod ? 'some' : 'maybe'
}
