// Prefixes that no router may announce, whatever the policy says. A default route is none of them.
import { type Family } from '#/lib/addr.ts'
import { specialRange, specialRanges } from '#/model/special-ranges.ts'
import { prefixOf } from '#/wire/bgp/index.ts'
import { type Nlri } from '#/wire/bgp/values.ts'
import { type Outcome } from './policy.ts'

export type Martian = Outcome & { readonly isMartian: true }

/** Site-local addresses are of one site, and which one that is no router knows (RFC 3879). Nodes of one cluster may still use them. */
const ranges = [...specialRanges, specialRange('fec0::/10', 'site-local addresses')]

const martians = ranges.map(({ prefix, what }) => {
  const outcome: Martian = {
    isMartian: true,
    isAccepted: false,
    hasPrefixes: true,
    isGrant: false,
    text: `it is within ${prefix}, ${what}, which no router may announce, whatever the import policy says`,
    set: undefined,
  }
  return { prefix, outcome }
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
