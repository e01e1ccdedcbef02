// Orders CNI calls. Calls for one sandbox run one after the other in order of arrival, whichever of its interfaces they are about:
// an ADD may have to wait, and no other call may see its pod half done. Calls for different sandboxes run concurrently up to a limit.
// An exclusive call (GC) runs alone. The specification demands the same of the runtime (SPEC section 3, "Lifecycle & Ordering"), but a
// runtime that was restarted does not know which of its earlier calls still run.

type Waiter = {
  /** The sandbox of the call; undefined for an exclusive call. */
  readonly key: string | undefined
  readonly start: () => void
  readonly drop: (reason: unknown) => void
}

export class Gate {
  readonly #limit: number
  readonly #runningKeys = new Set<string>()
  #isExclusive = false
  #isClosed = false
  #waiting: Waiter[] = []

  constructor(options: { readonly limit: number }) {
    this.#limit = options.limit
  }

  /** Runs `task` when its turn comes. Rejects with the signal's reason when the signal fires before `task` has started. */
  run<T>(key: string, signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    return this.#enter(key, signal, task)
  }

  /** Runs `task` while no other call runs; later calls wait for it. */
  runAlone<T>(signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    return this.#enter(undefined, signal, task)
  }

  /** Rejects all waiting and future calls; running calls go on. */
  close(reason: Error): void {
    this.#isClosed = true
    for (const waiter of this.#waiting.splice(0)) waiter.drop(reason)
  }

  async #enter<T>(key: string | undefined, signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    if (!this.#mayStartAtOnce(key, signal)) await this.#turn(key, signal)
    else if (key === undefined) this.#isExclusive = true
    else this.#runningKeys.add(key)
    try {
      return await task()
    } finally {
      if (key === undefined) this.#isExclusive = false
      else this.#runningKeys.delete(key)
      this.#startWhatMay()
    }
  }

  #mayStartAtOnce(key: string | undefined, signal: AbortSignal): boolean {
    if (signal.aborted || this.#isClosed || this.#isExclusive || this.#waiting.length > 0) return false
    if (key === undefined) return this.#runningKeys.size === 0
    return this.#runningKeys.size < this.#limit && !this.#runningKeys.has(key)
  }

  #turn(key: string | undefined, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const onAbort = (): void => {
      this.#waiting = this.#waiting.filter((other) => other !== waiter)
      reject(signal.reason)
      this.#startWhatMay()
    }
    const waiter: Waiter = {
      key,
      start: () => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      },
      drop: (reason) => {
        signal.removeEventListener('abort', onAbort)
        reject(reason)
      },
    }
    if (signal.aborted) reject(signal.reason)
    else if (this.#isClosed) reject(new Error('the agent is stopping'))
    else {
      signal.addEventListener('abort', onAbort)
      this.#waiting.push(waiter)
      this.#startWhatMay()
    }
    return promise
  }

  #startWhatMay(): void {
    const passedOver = new Set<string>()
    for (const waiter of this.#waiting) {
      if (this.#isExclusive || this.#runningKeys.size >= this.#limit) return
      const { key } = waiter
      if (key === undefined) {
        // No call overtakes an exclusive one: on a busy node it would never run.
        if (this.#runningKeys.size > 0 || passedOver.size > 0) return
        this.#isExclusive = true
      } else if (this.#runningKeys.has(key) || passedOver.has(key)) {
        passedOver.add(key)
        continue
      } else this.#runningKeys.add(key)
      this.#waiting = this.#waiting.filter((other) => other !== waiter)
      waiter.start()
    }
  }
}
