// Exponential backoff with jitter: how long to wait before the next try at something that fails.

/** Doubles from `firstMs` to `maxMs`; each delay is drawn from the upper half, so that a fleet does not march in step. */
export class Backoff {
  readonly #firstMs: number
  readonly #maxMs: number
  readonly #random: () => number
  #failures = 0

  /** `random` gives a number in [0, 1). */
  constructor(options: { firstMs: number; maxMs: number }, deps: { random: () => number }) {
    this.#firstMs = options.firstMs
    this.#maxMs = options.maxMs
    this.#random = deps.random
  }

  /** Counts one more failure and gives the delay that follows it, in milliseconds. */
  next(): number {
    // the exponent is bounded: 2 ** 1024 is Infinity, and an outage can last for days
    const fullMs = Math.min(this.#maxMs, this.#firstMs * 2 ** Math.min(this.#failures, 30))
    this.#failures++
    return fullMs * (0.5 + this.#random() / 2)
  }

  reset(): void {
    this.#failures = 0
  }
}
