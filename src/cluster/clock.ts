// Time as the cluster client needs it, in one object that tests replace.
// Durations are measured on the monotonic clock, which no NTP step or operator moves; the wall clock is only for
// timestamps that others read.

export interface Clock {
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonicMs(): number
  /** Milliseconds since 1970. */
  wallMs(): number
  /** Calls back once after `delayMs`, unless cancelled before. */
  after(delayMs: number, callback: () => void): () => void
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
}

/** Resolves after `delayMs`, or at once when the signal aborts. Never rejects: the caller checks the signal. */
export function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const finish = (): void => {
      cancel()
      signal.removeEventListener('abort', finish)
      resolve()
    }
    const cancel = clock.after(delayMs, finish)
    signal.addEventListener('abort', finish)
  })
}

/**
 * An abort signal that follows `parent` and also aborts after `delayMs`. Unlike AbortSignal.any it leaves nothing behind
 * on a long-lived parent once disposed.
 */
export class Deadline implements Disposable {
  readonly #controller = new AbortController()
  readonly #release: () => void
  #expired = false

  constructor(clock: Clock, delayMs: number, parent?: AbortSignal) {
    const follow = (): void => this.#controller.abort(parent?.reason)
    const cancel = clock.after(delayMs, () => {
      this.#expired = true
      this.#controller.abort(new Error(`no answer within ${delayMs / 1000} s`))
    })
    this.#release = () => {
      cancel()
      parent?.removeEventListener('abort', follow)
    }
    if (parent?.aborted === true) follow()
    else parent?.addEventListener('abort', follow)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Whether the time ran out, rather than the parent having aborted. */
  get expired(): boolean {
    return this.#expired
  }

  [Symbol.dispose](): void {
    this.#release()
  }
}
