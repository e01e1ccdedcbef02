// Whoever changes what is ours again and again has a reason, or is a program that does so for ever. Causeway puts them back at once
// a few times, then after a pause that doubles, and says so. Pure.

/** So many corrections in a row come at once. */
const freeCorrections = 5
/** The first pause, which doubles, and the longest one. */
export type Pauses = { readonly firstMs: number; readonly maxMs: number }

const usualPauses: Pauses = { firstMs: 10_000, maxMs: 10 * 60_000 }
/** What was left alone for this long is no longer contested. */
const calmMs = 15 * 60_000

type Corrections = { readonly count: number; readonly lastMs: number }

function pauseMs({ count }: Corrections, { firstMs, maxMs }: Pauses): number {
  if (count < freeCorrections) return 0
  return Math.min(firstMs * 2 ** (count - freeCorrections), maxMs)
}

export class Contests {
  readonly #nowMs: () => number
  readonly #pauses: Pauses
  readonly #corrections = new Map<string, Corrections>()

  /** `nowMs` is a monotonic clock. */
  constructor(nowMs: () => number, pauses: Pauses = usualPauses) {
    this.#nowMs = nowMs
    this.#pauses = pauses
  }

  /** Takes note that something was put in, or back. */
  corrected(key: string): void {
    const before = this.#recent(key)
    this.#corrections.set(key, { count: (before?.count ?? 0) + 1, lastMs: this.#nowMs() })
  }

  /** Whether it may be put back now. */
  mayCorrect(key: string): boolean {
    const before = this.#recent(key)
    return before === undefined || this.#nowMs() - before.lastMs >= pauseMs(before, this.#pauses)
  }

  /** How often it was put back, and how long the pause is; undefined when it is not contested. */
  contestOf(key: string): { readonly count: number; readonly pauseMs: number } | undefined {
    const recent = this.#recent(key)
    if (recent === undefined || recent.count < freeCorrections) return undefined
    return { count: recent.count, pauseMs: pauseMs(recent, this.#pauses) }
  }

  #recent(key: string): Corrections | undefined {
    const known = this.#corrections.get(key)
    if (known === undefined || this.#nowMs() - known.lastMs < calmMs) return known
    this.#corrections.delete(key)
    return undefined
  }
}
