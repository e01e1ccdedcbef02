// Ranges of addresses that no network routes (RFC 6890, RFC 4291): addresses of a host's own, of one link, of groups, and reserved ones.
// Who refuses more than these says why.
import { Prefix } from '#/lib/addr.ts'

export type SpecialRange = { readonly prefix: Prefix; readonly what: string }

export function specialRange(cidr: string, what: string): SpecialRange {
  return { prefix: Prefix.parse(cidr), what }
}

export const specialRanges: readonly SpecialRange[] = [
  specialRange('0.0.0.0/8', 'addresses of "this network"'),
  specialRange('127.0.0.0/8', 'loopback addresses'),
  specialRange('169.254.0.0/16', 'link-local addresses'),
  specialRange('224.0.0.0/4', 'multicast addresses'),
  specialRange('240.0.0.0/4', 'reserved addresses'),
  // the two together
  specialRange('224.0.0.0/3', 'multicast and reserved addresses'),
  // with :: and ::1 in it
  specialRange('::/96', 'the unspecified address, loopback, and IPv4-compatible addresses'),
  specialRange('::ffff:0:0/96', 'IPv4-mapped addresses'),
  specialRange('fe80::/10', 'link-local addresses'),
  specialRange('ff00::/8', 'multicast addresses'),
]

/**
 * Ranges in which no pod has its address. All of ::/8 is kept for protocols such as NAT64 (64:ff9b::/96); routers announce parts of it, so
 * BGP takes those.
 */
export const neverPods: readonly SpecialRange[] = [
  specialRange('::/8', 'addresses kept for protocols'),
  ...specialRanges,
]
