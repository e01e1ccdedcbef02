// Which sets of blocks an address is in: prefixes of sets, found by their lengths, of which there are few. Pure.
import { type Family, Prefix } from '#/lib/addr.ts'
import { type PeerSetId } from '#/policy/form.ts'

type OfLength = Map<bigint, { readonly prefix: Prefix; readonly sets: Set<PeerSetId> }>

export class Blocks {
  readonly #families: Readonly<Record<Family, Map<number, OfLength>>> = { 4: new Map(), 6: new Map() }

  add(set: PeerSetId, prefix: Prefix): void {
    const lengths = this.#families[prefix.family]
    const ofLength: OfLength = lengths.get(prefix.length) ?? new Map()
    lengths.set(prefix.length, ofLength)
    const known = ofLength.get(prefix.addr.value)
    if (known) known.sets.add(set)
    else ofLength.set(prefix.addr.value, { prefix, sets: new Set([set]) })
  }

  remove(set: PeerSetId, prefix: Prefix): void {
    const lengths = this.#families[prefix.family]
    const ofLength = lengths.get(prefix.length)
    const known = ofLength?.get(prefix.addr.value)
    if (ofLength === undefined || known === undefined) return
    known.sets.delete(set)
    if (known.sets.size > 0) return
    ofLength.delete(prefix.addr.value)
    if (ofLength.size === 0) lengths.delete(prefix.length)
  }

  /** Whether a set has just this prefix. */
  has({ addr, length, family }: Prefix): boolean {
    return this.#families[family].get(length)?.has(addr.value) ?? false
  }

  /** The sets that have all of the prefix. */
  setsOf({ addr, length, family }: Prefix): PeerSetId[] {
    const found: PeerSetId[] = []
    for (const [other, ofLength] of this.#families[family]) {
      if (other > length) continue
      const hostBits = BigInt(addr.bits - other)
      const sets = ofLength.get((addr.value >> hostBits) << hostBits)?.sets
      if (sets) found.push(...sets)
    }
    return found
  }
}
