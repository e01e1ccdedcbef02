// Order among CNI calls. Calls for one sandbox run one after the other, in the order they came, whichever of its interfaces they are
// about: an ADD may wait for something, and no other call may see its pod half done. Calls for different ones run side by side up to a limit; an exclusive call (GC) runs alone. The specification puts the same duties on the
// runtime (SPEC section 3, "Lifecycle & Ordering"), but a runtime that was restarted forgets the calls it left behind.

type Waiter = {
  /** Undefined: exclusive. */
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

  /** Runs `task` when it is its turn. Rejects with the signal's reason when that fires before `task` has started. */
  run<T>(key: string, signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    return this.#enter(key, signal, task)
  }

  /** Runs `task` while nothing else runs; whatever came later waits for it. */
  runAlone<T>(signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    return this.#enter(undefined, signal, task)
  }

  /** Turns away what waits and what comes; what runs is not touched. */
  close(reason: Error): void {
    this.#isClosed = true
    for (const waiter of this.#waiting.splice(0)) waiter.drop(reason)
  }

  async #enter<T>(key: string | undefined, signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    await this.#turn(key, signal)
    try {
      return await task()
    } finally {
      if (key === undefined) this.#isExclusive = false
      else this.#runningKeys.delete(key)
      this.#startWhatMay()
    }
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
        // Nobody overtakes an exclusive call, or a busy node would never get to it.
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
