// The fewest prefixes that hold the same addresses as some others, kept up to date while those come and go.
import { type Family, Prefix } from './addr.ts'

/** The other half of the prefix one bit shorter. */
function siblingOf({ addr, length, size, parent }: Prefix): Prefix {
  return new Prefix(parent.addr.equals(addr) ? addr.plus(size) : parent.addr, length)
}

export class PrefixUnion {
  /** How many times each prefix is in it. */
  readonly #counts = new Map<string, { readonly prefix: Prefix; count: number }>()
  readonly #union = new Map<string, Prefix>()
  /** How many prefixes of each length are in it. */
  readonly #lengths: { readonly [F in Family]: Map<number, number> } = { 4: new Map(), 6: new Map() }
  #version = 0

  /** A number that grows with each change of the prefixes. */
  get version(): number {
    return this.#version
  }

  /** Sorted. */
  get prefixes(): Prefix[] {
    return [...this.#union.values()].sort((a, b) => a.compare(b))
  }

  add(prefix: Prefix): void {
    const key = String(prefix)
    const known = this.#counts.get(key)
    if (known) known.count++
    else {
      this.#counts.set(key, { prefix, count: 1 })
      this.#count(prefix, 1)
      this.#cover(prefix)
    }
  }

  #count({ family, length }: Prefix, by: number): void {
    this.#lengths[family].set(length, (this.#lengths[family].get(length) ?? 0) + by)
  }

  remove(prefix: Prefix): void {
    const key = String(prefix)
    const known = this.#counts.get(key)
    if (known === undefined || --known.count > 0) return
    this.#counts.delete(key)
    this.#count(prefix, -1)
    const holder = this.#holderOf(prefix)
    if (holder === undefined) return
    this.#version++
    this.#union.delete(String(holder))
    // the halves beside the way down to what is removed stay
    for (let part = prefix; part.length > holder.length; part = part.parent) {
      const sibling = siblingOf(part)
      this.#union.set(String(sibling), sibling)
    }
    for (const other of this.#othersIn(prefix)) this.#cover(other)
  }

  /** The prefixes that hold addresses of one that was removed. Nearly always all are of one length, and there are none. */
  #othersIn(prefix: Prefix): Prefix[] {
    for (let part = prefix; part.length > 0; part = part.parent) {
      const around = this.#counts.get(String(part.parent))
      if (around) return [around.prefix]
    }
    const { family, length } = prefix
    const hasLonger = [...this.#lengths[family]].some(([other, count]) => count > 0 && other > length)
    return hasLonger
      ? [...this.#counts.values()].flatMap((each) => (prefix.contains(each.prefix) ? each.prefix : []))
      : []
  }

  #cover(prefix: Prefix): void {
    if (this.#holderOf(prefix)) return
    this.#version++
    for (const [key, each] of this.#union) if (prefix.contains(each)) this.#union.delete(key)
    let whole = prefix
    while (whole.length > 0 && this.#union.delete(String(siblingOf(whole)))) whole = whole.parent
    this.#union.set(String(whole), whole)
  }

  /** The prefix of the union that contains this one. */
  #holderOf(prefix: Prefix): Prefix | undefined {
    for (let part = prefix; ; part = part.parent) {
      const found = this.#union.get(String(part))
      if (found !== undefined || part.length === 0) return found
    }
  }
}
