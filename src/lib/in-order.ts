// For what serves one asynchronous task at a time.

/** Runs tasks one after the other, in the order in which they were given. One that fails holds up none. */
export class InOrder {
  #last: Promise<void> = Promise.resolve()

  /** Gives what the task gives, or fails as it fails. */
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
