// When to reconcile: soon after anything changed, again after a failure, and in full on a timer.
import { type Logger, messageOf } from '#/lib/log.ts'

/** How urgent a pass is: 'soon' when others wait for the change, 'later' when nobody does. */
export type Urgency = 'soon' | 'later'

export type LoopTimes = {
  /** Changes that others wait for share one pass when they come within this time. */
  readonly gatherMs: number
  /** The same time for changes that nobody waits for. */
  readonly gatherLaterMs: number
  /** The wait after a pass with failures; it doubles with each up to `maxRetryMs`. */
  readonly retryMs: number
  readonly maxRetryMs: number
  /** The time between full passes, which come even when nothing is known to have changed. */
  readonly resyncMs: number
}

export const defaultTimes: LoopTimes = {
  gatherMs: 5,
  gatherLaterMs: 100,
  retryMs: 500,
  maxRetryMs: 30_000,
  resyncMs: 60_000,
}

/** How many objects failed, and in how many ms another pass is wanted even if nothing changes; undefined: none is. */
export type PassReport = { readonly failed: number; readonly againMs?: number | undefined }

export class ReconcileLoop {
  readonly #times: LoopTimes
  readonly #pass: () => Promise<PassReport>
  readonly #onResync: () => void
  readonly #log: Logger
  #timer: NodeJS.Timeout | undefined
  #resyncTimer: NodeJS.Timeout | undefined
  #dueMs = Infinity
  #running: Promise<void> | undefined
  #beganMs = 0
  #isDirty: Urgency | undefined
  #failures = 0
  #againMs: number | undefined
  #isStopped = false

  /** `pass` brings the kernel up to date once; `onResync` is called before each full pass. */
  constructor(times: LoopTimes, deps: { pass: () => Promise<PassReport>; onResync: () => void; log: Logger }) {
    this.#times = times
    this.#pass = deps.pass
    this.#onResync = deps.onResync
    this.#log = deps.log
  }

  /** How long the current pass has been running; 0 when none runs. */
  get runningMs(): number {
    return this.#running === undefined ? 0 : performance.now() - this.#beganMs
  }

  /** Asks for a pass, because something may have changed. */
  trigger(urgency: Urgency): void {
    if (this.#running === undefined) this.#schedule(this.#gatherMs(urgency))
    else if (this.#isDirty !== 'soon') this.#isDirty = urgency
  }

  #gatherMs(urgency: Urgency): number {
    return urgency === 'soon' ? this.#times.gatherMs : this.#times.gatherLaterMs
  }

  /** Runs a pass at once, or right after the current one; resolves when it is over, also when it failed. */
  async runNow(): Promise<void> {
    await this.#running
    this.#begin()
    await this.#running
  }

  #schedule(delayMs: number): void {
    const dueMs = performance.now() + delayMs
    if (this.#isStopped || dueMs >= this.#dueMs) return
    clearTimeout(this.#timer)
    this.#dueMs = dueMs
    this.#timer = setTimeout(() => this.#begin(), delayMs)
  }

  #begin(): void {
    clearTimeout(this.#timer)
    this.#dueMs = Infinity
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
      this.#next()
    })
  }

  async #run(): Promise<void> {
    this.#isDirty = undefined
    this.#againMs = undefined
    this.#beganMs = performance.now()
    try {
      const { failed, againMs } = await this.#pass()
      this.#againMs = againMs
      this.#failures = failed > 0 ? this.#failures + 1 : 0
    } catch (error) {
      this.#failures++
      this.#log.error('reconcile pass failed', { error: messageOf(error) })
    }
  }

  #next(): void {
    const { retryMs, maxRetryMs } = this.#times
    this.#resyncLater()
    const dirtyMs = this.#isDirty && this.#gatherMs(this.#isDirty)
    // a failing pass may change devices and so cause notifications, which must not turn the backoff into a busy loop
    if (this.#failures > 0) {
      const backoffMs = Math.min(retryMs * 2 ** (this.#failures - 1), maxRetryMs)
      this.#schedule(dirtyMs === undefined ? backoffMs : Math.min(backoffMs, Math.max(dirtyMs, retryMs)))
    } else if (dirtyMs !== undefined) this.#schedule(dirtyMs)
    if (this.#againMs !== undefined) this.#schedule(Math.max(this.#againMs, this.#gatherMs('later')))
  }

  /** Resyncs have a timer of their own, so that neither changes nor failures put them off. */
  #resyncLater(): void {
    if (this.#isStopped) return
    this.#resyncTimer ??= setTimeout(() => {
      this.#resyncTimer = undefined
      this.#onResync()
      if (this.#running) this.#isDirty ??= 'later'
      else this.#begin()
    }, this.#times.resyncMs)
  }

  /** Waits for the current pass; no other begins afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#timer)
    clearTimeout(this.#resyncTimer)
    await this.#running
  }
}
