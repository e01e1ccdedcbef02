// Whoever takes out or moves our rules again and again has a reason, or is a program that does so for ever. Causeway puts them back at once
// a few times, then after a pause that doubles, and says so. Pure.

/** So many corrections in a row come at once. */
const freeCorrections = 5
const firstPauseMs = 10_000
const maxPauseMs = 10 * 60_000
/** A chain that was left alone for this long is no longer contested. */
const calmMs = 15 * 60_000

type Corrections = { readonly count: number; readonly lastMs: number }

function pauseMs({ count }: Corrections): number {
  if (count < freeCorrections) return 0
  return Math.min(firstPauseMs * 2 ** (count - freeCorrections), maxPauseMs)
}

export class Contests {
  readonly #nowMs: () => number
  readonly #corrections = new Map<string, Corrections>()

  /** `nowMs` is a monotonic clock. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** Takes note that the rules of a chain were put in, or back. */
  corrected(chain: string): void {
    const before = this.#recent(chain)
    this.#corrections.set(chain, { count: (before?.count ?? 0) + 1, lastMs: this.#nowMs() })
  }

  /** Whether the rules of a chain may be put back now. */
  mayCorrect(chain: string): boolean {
    const before = this.#recent(chain)
    return before === undefined || this.#nowMs() - before.lastMs >= pauseMs(before)
  }

  /** How often the rules of a contested chain were put back, and how long the pause is; undefined when it is not contested. */
  contestOf(chain: string): { readonly count: number; readonly pauseMs: number } | undefined {
    const recent = this.#recent(chain)
    if (recent === undefined || recent.count < freeCorrections) return undefined
    return { count: recent.count, pauseMs: pauseMs(recent) }
  }

  #recent(chain: string): Corrections | undefined {
    const known = this.#corrections.get(chain)
    if (known === undefined || this.#nowMs() - known.lastMs < calmMs) return known
    this.#corrections.delete(chain)
    return undefined
  }
}
