// A queue of keys to work on, as in client-go's workqueue: a key is in it once, is never worked on twice at the same time,
// and comes back later with growing delay when its work failed.
import { Backoff } from '#/cluster/backoff.ts'
import type { Clock } from '#/cluster/clock.ts'

export type WorkQueueOptions = {
  readonly concurrency: number
  readonly firstRetryMs: number
  readonly maxRetryMs: number
}

export type WorkQueueDeps = {
  /** Does the work of one key; gives true when done, false to be called again later. Must not throw. */
  readonly work: (key: string) => Promise<boolean>
  readonly clock: Clock
  readonly random: () => number
}

export class WorkQueue implements AsyncDisposable {
  readonly #options: WorkQueueOptions
  readonly #deps: WorkQueueDeps
  readonly #ready = new Set<string>()
  /** Keys added while being worked on: that work may have missed the news. */
  readonly #again = new Set<string>()
  readonly #active = new Map<string, Promise<void>>()
  readonly #waiting = new Map<string, () => void>()
  readonly #backoffs = new Map<string, Backoff>()
  #isClosed = false

  constructor(options: WorkQueueOptions, deps: WorkQueueDeps) {
    this.#options = options
    this.#deps = deps
  }

  /** Adds a key. A key that waits for its retry keeps waiting, so that news does not speed up failing work. */
  add(key: string): void {
    if (this.#isClosed || this.#waiting.has(key)) return
    if (this.#active.has(key)) {
      this.#again.add(key)
      return
    }
    this.#ready.add(key)
    this.#pump()
  }

  /** Forgets a key; work on it that is under way goes on, but is not retried. */
  remove(key: string): void {
    this.#ready.delete(key)
    this.#again.delete(key)
    this.#backoffs.delete(key)
    this.#waiting.get(key)?.()
    this.#waiting.delete(key)
  }

  /** Takes no more work and resolves when the work under way has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    this.#ready.clear()
    for (const cancel of this.#waiting.values()) cancel()
    this.#waiting.clear()
    await Promise.all(this.#active.values())
  }

  #pump(): void {
    for (const key of this.#ready) {
      if (this.#active.size >= this.#options.concurrency) return
      this.#ready.delete(key)
      // a key needs its entry during the work, so that remove() can take it out and the key does not come back
      if (!this.#backoffs.has(key)) this.#backoffs.set(key, this.#newBackoff())
      this.#active.set(key, this.#run(key))
    }
  }

  async #run(key: string): Promise<void> {
    const isDone = await this.#deps.work(key)
    this.#active.delete(key)
    const backoff = this.#backoffs.get(key)
    if (isDone) this.#backoffs.delete(key)
    if (this.#again.delete(key)) this.#ready.add(key)
    else if (!isDone && backoff !== undefined && !this.#isClosed) {
      this.#retryLater(key, backoff.next())
    }
    if (!this.#isClosed) this.#pump()
  }

  #retryLater(key: string, delayMs: number): void {
    const cancel = this.#deps.clock.after(delayMs, () => {
      this.#waiting.delete(key)
      this.add(key)
    })
    this.#waiting.set(key, cancel)
  }

  #newBackoff(): Backoff {
    const { firstRetryMs, maxRetryMs } = this.#options
    return new Backoff({ firstMs: firstRetryMs, maxMs: maxRetryMs }, { random: this.#deps.random })
  }
}
