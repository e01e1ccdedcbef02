// The fewest prefixes that hold the same addresses as some others, kept up to date while those come and go.
import { type Family, Prefix } from './addr.ts'

/** The other half of the prefix one bit shorter. */
function siblingOf({ addr, length, size, parent }: Prefix): Prefix {
  return new Prefix(parent.addr.equals(addr) ? addr.plus(size) : parent.addr, length)
}

/** Prefixes of one family: found by a number, since thousands are looked up, and by the lengths that there are, which are few. */
export class PrefixSet<T> {
  readonly #byLength = new Map<number, Map<bigint, { readonly prefix: Prefix; readonly value: T }>>()

  get({ addr, length }: Prefix): T | undefined {
    return this.#byLength.get(length)?.get(addr.value)?.value
  }

  set(prefix: Prefix, value: T): void {
    const { addr, length } = prefix
    const ofLength = this.#byLength.get(length) ?? new Map<bigint, { prefix: Prefix; value: T }>()
    this.#byLength.set(length, ofLength.set(addr.value, { prefix, value }))
  }

  delete({ addr, length }: Prefix): boolean {
    const ofLength = this.#byLength.get(length)
    if (ofLength?.delete(addr.value) !== true) return false
    if (ofLength.size === 0) this.#byLength.delete(length)
    return true
  }

  *all(): Iterable<Prefix> {
    for (const ofLength of this.#byLength.values()) for (const { prefix } of ofLength.values()) yield prefix
  }

  /** One that contains the prefix; `isShorter`: and is not the prefix itself. */
  holderOf({ addr, length }: Prefix, isShorter: boolean): Prefix | undefined {
    for (const [other, ofLength] of this.#byLength) {
      if (other > length || (isShorter && other === length)) continue
      const found = ofLength.get(new Prefix(addr, other).addr.value)
      if (found) return found.prefix
    }
    return undefined
  }

  /** Those within the prefix, but for the prefix itself. */
  within(prefix: Prefix): Prefix[] {
    const longer = [...this.#byLength].flatMap(([length, ofLength]) => (length > prefix.length ? [ofLength] : []))
    return longer.flatMap((ofLength) =>
      [...ofLength.values()].flatMap((each) => (prefix.contains(each.prefix) ? each.prefix : [])),
    )
  }
}

class FamilyUnion {
  /** How many times each prefix is in it. */
  readonly #counts = new PrefixSet<number>()
  readonly #union = new PrefixSet<true>()
  version = 0

  get prefixes(): Iterable<Prefix> {
    return this.#union.all()
  }

  add(prefix: Prefix): void {
    const count = this.#counts.get(prefix) ?? 0
    this.#counts.set(prefix, count + 1)
    if (count === 0) this.#cover(prefix)
  }

  remove(prefix: Prefix): void {
    const count = this.#counts.get(prefix)
    if (count === undefined) return
    if (count > 1) return this.#counts.set(prefix, count - 1)
    this.#counts.delete(prefix)
    const holder = this.#union.holderOf(prefix, false)
    if (holder === undefined) return
    this.version++
    this.#union.delete(holder)
    // the halves beside the way down to what is removed stay
    for (let part = prefix; part.length > holder.length; part = part.parent) this.#union.set(siblingOf(part), true)
    const around = this.#counts.holderOf(prefix, true)
    for (const other of around ? [around] : this.#counts.within(prefix)) this.#cover(other)
  }

  #cover(prefix: Prefix): void {
    if (this.#union.holderOf(prefix, false)) return
    this.version++
    for (const part of this.#union.within(prefix)) this.#union.delete(part)
    let whole = prefix
    while (whole.length > 0 && this.#union.delete(siblingOf(whole))) whole = whole.parent
    this.#union.set(whole, true)
  }
}

export class PrefixUnion {
  readonly #unions: { readonly [F in Family]: FamilyUnion } = { 4: new FamilyUnion(), 6: new FamilyUnion() }

  /** A number that grows with each change of the prefixes. */
  get version(): number {
    return this.#unions[4].version + this.#unions[6].version
  }

  /** Sorted. */
  get prefixes(): Prefix[] {
    return [...this.#unions[4].prefixes, ...this.#unions[6].prefixes].sort((a, b) => a.compare(b))
  }

  add(prefix: Prefix): void {
    this.#unions[prefix.family].add(prefix)
  }

  remove(prefix: Prefix): void {
    this.#unions[prefix.family].remove(prefix)
  }
}
