// Runs asynchronous tasks one at a time.

/** Runs tasks one after the other, in the order in which they were given. A task that fails does not stop the next ones. */
export class InOrder {
  #last: Promise<void> = Promise.resolve()

  /** Resolves or rejects as the task does. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    const before = this.#last
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#last = promise
    await before
    try {
      return await task()
    } finally {
      resolve()
    }
  }
}
