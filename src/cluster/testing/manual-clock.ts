// For tests: a clock that a test moves by hand, and a way to wait for real sockets meanwhile.
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../clock.ts'

type Timer = { readonly atMs: number; readonly callback: () => void }

export class ManualClock implements Clock {
  #monotonicMs = 1_000
  #wallMs = Date.parse('2024-05-01T12:00:00Z')
  readonly #timers = new Set<Timer>()

  monotonicMs(): number {
    return this.#monotonicMs
  }

  wallMs(): number {
    return this.#wallMs
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer: Timer = { atMs: this.#monotonicMs + delayMs, callback }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Milliseconds to the next timer; undefined when none is set. */
  get nextMs(): number | undefined {
    const times = [...this.#timers].map(({ atMs }) => atMs - this.#monotonicMs)
    return times.length === 0 ? undefined : Math.min(...times)
  }

  /** Lets time pass, timer by timer, and lets the promises that each timer resolves settle in between. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#monotonicMs + ms
    for (;;) {
      await settle()
      const next = [...this.#timers]
        .filter(({ atMs }) => atMs <= endMs)
        .sort((left, right) => left.atMs - right.atMs)[0]
      if (next === undefined) break
      this.#pass(Math.max(0, next.atMs - this.#monotonicMs))
      this.#timers.delete(next)
      next.callback()
    }
    this.#pass(endMs - this.#monotonicMs)
    await settle()
  }

  /** Makes the wall clock jump, as NTP or an operator does; no time passes. */
  jumpWall(ms: number): void {
    this.#wallMs += ms
  }

  #pass(ms: number): void {
    this.#monotonicMs += ms
    this.#wallMs += ms
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Waits, in real time, until the condition holds; fails after `limitMs`. */
export async function eventually(condition: () => boolean, what: string, limitMs = 60_000): Promise<void> {
  const startedMs = performance.now()
  while (!condition()) {
    assert.ok(performance.now() - startedMs < limitMs, `still not: ${what}`)
    await delay(2)
  }
}
