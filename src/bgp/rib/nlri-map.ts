// A map by prefix that never makes anybody wait while it grows. A Map of a million entries takes a tenth of a second each time that it
// is rehashed; from some size on this one is many Maps, each small enough.
import { type Nlri } from '#/wire/bgp/values.ts'

/** Where it becomes many: rehashing so many takes a millisecond or two. */
const splitSize = 8192
const shardBits = 6

/** Of the last octets, where prefixes of one length differ: multiplied by a number that spreads them over the high bits. */
function shardOf(nlri: Nlri): number {
  const { length } = nlri
  const last = nlri.charCodeAt(length - 1) | (nlri.charCodeAt(length - 2) << 8) | (nlri.charCodeAt(length - 3) << 16)
  return Math.imul(last, 0x9e37_79b1) >>> (32 - shardBits)
}

export class NlriMap<Value extends object> {
  #whole: Map<Nlri, Value> | undefined = new Map()
  #shards: readonly Map<Nlri, Value>[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  get(nlri: Nlri): Value | undefined {
    return this.#mapOf(nlri).get(nlri)
  }

  set(nlri: Nlri, value: Value): void {
    const map = this.#mapOf(nlri)
    const before = map.size
    map.set(nlri, value)
    this.#size += map.size - before
    if (this.#size > splitSize && map === this.#whole) this.#split(map)
  }

  delete(nlri: Nlri): void {
    if (this.#mapOf(nlri).delete(nlri)) this.#size--
  }

  #mapOf(nlri: Nlri): Map<Nlri, Value> {
    return this.#whole ?? this.#shards[shardOf(nlri)]!
  }

  #split(whole: Map<Nlri, Value>): void {
    this.#shards = Array.from({ length: 1 << shardBits }, () => new Map<Nlri, Value>())
    this.#whole = undefined
    for (const [nlri, value] of whole) this.#mapOf(nlri).set(nlri, value)
  }

  /** What was there when it began, in its present state; what comes later may be met or not. Goes on over all changes. */
  *entries(): IterableIterator<[Nlri, Value]> {
    for (const map of this.#whole === undefined ? this.#shards : [this.#whole]) {
      for (const nlri of map.keys()) {
        const value = this.get(nlri)
        if (value !== undefined) yield [nlri, value]
      }
    }
  }
}
