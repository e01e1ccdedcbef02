// Lets one part tell others that something happened when those others are made after it, so that it need not know them.

export class Signal<T> {
  readonly #listeners = new Set<(value: T) => void>()

  /** Adds a listener; `emit` calls listeners in the order of subscription, before it returns. Returns a function that removes it. */
  subscribe(listener: (value: T) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  emit(value: T): void {
    for (const listener of this.#listeners) listener(value)
  }
}

/** A value that one part keeps up to date and others read. */
export class Latest<T> {
  #value: T

  constructor(value: T) {
    this.#value = value
  }

  get value(): T {
    return this.#value
  }

  set(value: T): void {
    this.#value = value
  }
}
