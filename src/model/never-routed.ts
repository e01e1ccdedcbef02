// The ranges in which no network routes (RFC 6890, RFC 4291): their addresses are of a host's own, of one link, of groups, or reserved. Pods
// have none of them.
import { Prefix } from '#/lib/addr.ts'

export type NeverRouted = { readonly range: Prefix; readonly what: string }

const ranges = {
  '0.0.0.0/8': 'addresses of "this network"',
  '127.0.0.0/8': 'loopback addresses',
  '169.254.0.0/16': 'link-local addresses',
  '224.0.0.0/3': 'multicast and reserved addresses',
  '::/8': 'the unspecified, the loopback and IPv4-mapped addresses',
  'fe80::/10': 'link-local addresses',
  'ff00::/8': 'multicast addresses',
}

export const neverRouted: readonly NeverRouted[] = Object.entries(ranges).map(([range, what]) => ({
  range: Prefix.parse(range),
  what,
}))
