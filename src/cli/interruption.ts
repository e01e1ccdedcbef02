// Ctrl-C, or SIGTERM, during work that can be gone on with later.
import { stopRequested, statusOfSignal } from './signals.ts'

/** Why the work ended before it was done. */
export class Interrupted extends Error {
  override name = 'Interrupted'
  /** As shells have it for a process that a signal ended: 130 for SIGINT, 143 for SIGTERM. */
  readonly exitStatus: number

  constructor(signal: NodeJS.Signals) {
    super(`interrupted (${signal})`)
    this.exitStatus = statusOfSignal(signal)
  }
}

/** Its signal is aborted with Interrupted when the process is asked to end; the second request ends the process at once. */
export class Interruption {
  readonly #controller = new AbortController()

  constructor(stop: Promise<NodeJS.Signals> = stopRequested()) {
    void stop.then((signal) => this.#controller.abort(new Interrupted(signal)))
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** The outcome of `work`; rejects with Interrupted when the request comes first. */
  async orStopped<T>(work: Promise<T>): Promise<T> {
    const { promise, reject } = Promise.withResolvers<never>()
    const stop = (): void => reject(this.signal.reason as Interrupted)
    this.signal.addEventListener('abort', stop, { once: true })
    if (this.signal.aborted) stop()
    return Promise.race([work, promise]).finally(() => this.signal.removeEventListener('abort', stop))
  }
}
