// Prefix lists as policies have them, made to be asked for many prefixes: one look-up for each length that the list's prefixes have.
import { type Family } from '#/lib/addr.ts'
import { type RouteMatch } from '#/model/bgp.ts'
import { nlriOf } from '#/wire/bgp/index.ts'
import { type Nlri } from '#/wire/bgp/values.ts'

type Range = { readonly least: number; readonly most: number }

/** The first `length` bits of a prefix that has as many, in octets, the last one's other bits zero. */
function head(nlri: Nlri, length: number): string {
  const whole = length >> 3
  const bits = length & 7
  if (bits === 0) return nlri.slice(1, 1 + whole)
  const last = nlri.charCodeAt(1 + whole) & (0xff00 >> bits) & 0xff
  return nlri.slice(1, 1 + whole) + String.fromCharCode(last)
}

export class PrefixSet {
  readonly #ranges = new Map<number, Map<string, Range[]>>()

  constructor(prefixes: NonNullable<RouteMatch['prefixes']>, family: Family) {
    for (const { prefix, minLength = prefix.length, maxLength = prefix.length } of prefixes) {
      if (prefix.family !== family) continue
      const ofLength = this.#ranges.get(prefix.length) ?? new Map<string, Range[]>()
      this.#ranges.set(prefix.length, ofLength)
      const bits = head(nlriOf(prefix), prefix.length)
      ofLength.set(bits, [...(ofLength.get(bits) ?? []), { least: minLength, most: maxLength }])
    }
  }

  /** Whether it is within one of the list's prefixes, and as long as that allows. */
  matches(nlri: Nlri): boolean {
    const length = nlri.charCodeAt(0)
    for (const [listed, ofLength] of this.#ranges) {
      if (listed > length) continue
      const ranges = ofLength.get(head(nlri, listed))
      if (ranges?.some(({ least, most }) => length >= least && length <= most) === true) return true
    }
    return false
  }
}
