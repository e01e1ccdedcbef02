// Keeps the watch on the kernel's notifications open. While the watch is lost, changes by others are noticed only at the next resync.
import { type Logger, messageOf } from '#/lib/log.ts'

const retryMs = 5000

export type KernelWatchDeps = {
  /** Opens the watch; `onEnd` is called at most once, when the watch ends by itself. Throws when the watch cannot be opened. */
  readonly open: (onEnd: (error: unknown) => void) => Disposable
  /** Called when the watch is open again: changes made meanwhile were missed. */
  readonly onReopened: () => void
  readonly log: Logger
}

export class KernelWatch implements Disposable {
  readonly #deps: KernelWatchDeps
  #watch: Disposable | undefined
  #retry: NodeJS.Timeout | undefined
  #lost: string | undefined

  constructor(deps: KernelWatchDeps) {
    this.#deps = deps
  }

  /** Why there is no watch now; undefined while the watch is open, and before `start`. */
  get lost(): string | undefined {
    return this.#lost
  }

  /** Throws what `open` throws: an agent that cannot watch its kernel does not start. */
  start(): void {
    this.#watch = this.#deps.open((error) => this.#lose(error))
  }

  #lose(error: unknown): void {
    this.#watch?.[Symbol.dispose]()
    this.#watch = undefined
    this.#lost = messageOf(error)
    this.#deps.log.error('kernel notifications ended; the resync timer goes on', { error: this.#lost })
    this.#retry = setTimeout(() => this.#reopen(), retryMs)
  }

  #reopen(): void {
    try {
      this.start()
    } catch (error) {
      this.#lose(error)
      return
    }
    this.#lost = undefined
    this.#deps.onReopened()
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#retry)
    this.#watch?.[Symbol.dispose]()
  }
}
