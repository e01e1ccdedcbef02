// Groups by small numbers, and sets of groups as bits: there may be ten thousand groups, and a thousand sets of which most are members.
import { type Group } from './state.ts'

export class GroupTable {
  readonly #groups: (Group | undefined)[] = []
  readonly #free: number[] = []

  add(make: (number: number) => Group): Group {
    const number = this.#free.pop() ?? this.#groups.length
    return (this.#groups[number] = make(number))
  }

  /** No set may have it any more: its number becomes another group's. */
  remove({ number }: Group): void {
    this.#groups[number] = undefined
    this.#free.push(number)
  }

  *in(set: GroupSet): Iterable<Group> {
    for (const number of set.numbers()) {
      const group = this.#groups[number]
      if (group !== undefined) yield group
    }
  }
}

export class GroupSet {
  #bits = new Uint8Array(0)

  has({ number }: Group): boolean {
    return ((this.#bits[number >>> 3] ?? 0) & (1 << (number & 7))) !== 0
  }

  /** Those of its groups. Most sets have few: eight groups that are not in it take no longer than one. */
  *numbers(): Iterable<number> {
    for (let at = 0; at < this.#bits.length; at++)
      for (let bits = this.#bits[at]!, number = 8 * at; bits !== 0; bits >>>= 1, number++)
        if ((bits & 1) !== 0) yield number
  }

  add({ number }: Group): void {
    const at = number >>> 3
    if (at >= this.#bits.length) {
      const bits = new Uint8Array(Math.max(at + 1, 2 * this.#bits.length))
      bits.set(this.#bits)
      this.#bits = bits
    }
    this.#bits[at]! |= 1 << (number & 7)
  }

  delete(group: Group): void {
    if (this.has(group)) this.#bits[group.number >>> 3]! &= ~(1 << (group.number & 7))
  }
}
