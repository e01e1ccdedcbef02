// A token bucket: bursts up to a size, then a steady rate.
import type { Clock } from './clock.ts'

export class TokenBucket {
  readonly #burst: number
  readonly #perSecond: number
  readonly #clock: Clock
  #tokens: number
  #filledAtMs: number

  constructor(options: { burst: number; perSecond: number }, deps: { clock: Clock }) {
    this.#burst = options.burst
    this.#perSecond = options.perSecond
    this.#clock = deps.clock
    this.#tokens = options.burst
    this.#filledAtMs = deps.clock.monotonicMs()
  }

  /** Takes a token if there is one. */
  take(): boolean {
    this.#fill()
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }

  /** Milliseconds until take() can succeed; 0 for now. */
  msUntilNext(): number {
    this.#fill()
    return this.#tokens >= 1 ? 0 : Math.ceil(((1 - this.#tokens) / this.#perSecond) * 1000)
  }

  #fill(): void {
    const now = this.#clock.monotonicMs()
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#filledAtMs) / 1000) * this.#perSecond)
    this.#filledAtMs = now
  }
}
