// Lets expensive work have a share of the time. What is not used is saved, up to a limit, so that work which is seldom wanted is done at once.

export type AllowanceLimits = {
  /** The part of the time that the work may take in the long run, such as 0.01. */
  readonly share: number
  /** How much may be saved, and is saved at the beginning. */
  readonly mostMs: number
}

export class Allowance {
  readonly #limits: AllowanceLimits
  readonly #nowMs: () => number
  #savedMs: number
  #sinceMs: number

  /** `nowMs` is a monotonic clock. */
  constructor(limits: AllowanceLimits, nowMs: () => number) {
    this.#limits = limits
    this.#nowMs = nowMs
    this.#savedMs = limits.mostMs
    this.#sinceMs = nowMs()
  }

  /** How long the work has to wait, in ms; 0: it may be done now, however long it takes. */
  get waitMs(): number {
    this.#save()
    return Math.max(0, -this.#savedMs / this.#limits.share)
  }

  /** Takes note of how long the work took. */
  spend(ms: number): void {
    this.#save()
    this.#savedMs -= ms
  }

  #save(): void {
    const { share, mostMs } = this.#limits
    const nowMs = this.#nowMs()
    this.#savedMs = Math.min(mostMs, this.#savedMs + (nowMs - this.#sinceMs) * share)
    this.#sinceMs = nowMs
  }
}
