// The recent changes of one kind's objects: the watch cache. It is limited; a request for older changes gets undefined.
import type { Entry } from './store.ts'

/** One change. A create has no `before`, a removal has no `after`. */
export type Change = {
  readonly revision: number
  readonly before: Entry | undefined
  readonly after: Entry | undefined
  /** Encoded forms, made once and shared by all watchers; see encode.ts. */
  readonly encoded: Map<string, Buffer>
}

export class History {
  readonly #limit: number
  readonly #changes: Change[] = []
  /** All changes after this revision are kept. */
  #floor: number

  constructor(floor: number, limit: number) {
    this.#floor = floor
    this.#limit = limit
  }

  get floor(): number {
    return this.#floor
  }

  push(change: Change): void {
    this.#changes.push(change)
    // old changes are dropped in bulk: dropping each one separately would move the whole array every time
    if (this.#changes.length < 2 * this.#limit) return
    const dropped = this.#changes.splice(0, this.#limit)
    this.#floor = dropped.at(-1)!.revision
  }

  /** Changes after `revision`, oldest first; undefined when some of them are no longer kept. */
  since(revision: number): readonly Change[] | undefined {
    if (revision < this.#floor) return undefined
    let low = 0
    let high = this.#changes.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#changes[middle]!.revision <= revision) low = middle + 1
      else high = middle
    }
    return this.#changes.slice(low)
  }
}
