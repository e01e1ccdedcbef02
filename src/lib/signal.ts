// How one part tells others that something happened, when those others are made after it: whoever tells knows none of them.

export class Signal<T> {
  readonly #listeners = new Set<(value: T) => void>()

  /** Called in the order of subscription, within the call of `emit`. Returns how to end it. */
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
