// Prefixes that no router may announce (RFC 6890, RFC 5735 and RFC 4291): addresses of a host's own, of a link, of groups, and reserved
// ones. A default route is none of them.
import { type Family, Prefix } from '#/lib/addr.ts'
import { prefixOf } from '#/wire/bgp/index.ts'
import { type Nlri } from '#/wire/bgp/values.ts'
import { type Outcome } from './policy.ts'

export type Martian = Outcome & { readonly isMartian: true }

const ranges: readonly (readonly [cidr: string, what: string])[] = [
  ['0.0.0.0/8', 'addresses of "this network"'],
  ['127.0.0.0/8', 'loopback addresses'],
  ['169.254.0.0/16', 'link-local addresses'],
  ['224.0.0.0/4', 'multicast addresses'],
  ['240.0.0.0/4', 'reserved addresses'],
  ['224.0.0.0/3', 'multicast and reserved addresses'],
  // with :: and ::1 in it
  ['::/96', 'the unspecified address, loopback, and IPv4-compatible addresses'],
  ['::ffff:0:0/96', 'IPv4-mapped addresses'],
  ['fe80::/10', 'link-local addresses'],
  ['fec0::/10', 'site-local addresses'],
  ['ff00::/8', 'multicast addresses'],
]

const martians = ranges.map(([cidr, what]) => {
  const outcome: Martian = {
    isMartian: true,
    isAccepted: false,
    hasPrefixes: true,
    isGrant: false,
    text: `it is within ${cidr}, ${what}, which no router may announce, whatever the import policy says`,
    set: undefined,
  }
  return { prefix: Prefix.parse(cidr), outcome }
})

/** Nearly all prefixes begin with none of these octets. */
function mayBeMartian(nlri: Nlri, family: Family): boolean {
  if (nlri.charCodeAt(0) === 0) return false
  const first = nlri.charCodeAt(1)
  return family === 4 ? first === 0 || first === 127 || first === 169 || first >= 224 : first === 0 || first >= 0xfe
}

/** The refusal of a prefix that no router may announce; undefined: it is not such a one. The same object for all of one range. */
export function martianOf(nlri: Nlri, family: Family): Martian | undefined {
  if (!mayBeMartian(nlri, family)) return undefined
  const prefix = prefixOf(nlri, family)
  return martians.find((each) => each.prefix.contains(prefix))?.outcome
}
