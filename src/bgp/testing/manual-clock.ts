// For tests: time that stands still until told to go on, and a queue in place of the event loop, so that a run is the same each time.
import { type SpeakerClock, type Timer } from '../contract.ts'

type Waiting = { readonly atMs: number; readonly order: number; readonly call: () => void }

export class ManualClock implements SpeakerClock {
  #nowMs = 1_000
  #order = 0
  readonly #timers = new Set<Waiting>()
  readonly #turns: (() => void)[] = []

  nowMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return Date.parse('2026-05-01T12:00:00Z') + this.#nowMs
  }

  after(delayMs: number, call: () => void): Timer {
    const timer = { atMs: this.#nowMs + delayMs, order: this.#order++, call }
    this.#timers.add(timer)
    return { cancel: () => this.#timers.delete(timer) }
  }

  /** What setImmediate is to the event loop. */
  readonly defer = (call: () => void): void => {
    this.#turns.push(call)
  }

  get timerCount(): number {
    return this.#timers.size
  }

  /** Everything that is to happen now happens. Fails when it does not come to an end. */
  async settle(mostTurns = 100_000): Promise<void> {
    for (let turn = 0; turn < mostTurns; turn++) {
      // promises that were resolved go first, as they do between turns
      for (let tick = 0; tick < 8; tick++) await Promise.resolve()
      const call = this.#turns.shift()
      if (call === undefined) return
      call()
    }
    throw new Error(`not at rest after ${mostTurns} turns`)
  }

  /** Time passes, timer by timer, and what each sets off comes to rest in between. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    for (;;) {
      await this.settle()
      const next = [...this.#timers]
        .filter(({ atMs }) => atMs <= endMs)
        .sort((left, right) => left.atMs - right.atMs || left.order - right.order)[0]
      if (next === undefined) break
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      this.#timers.delete(next)
      next.call()
    }
    this.#nowMs = endMs
    await this.settle()
  }
}
