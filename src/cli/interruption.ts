// Ctrl-C, SIGTERM, or a terminal that is closed, during work that can be continued later.
import { stopRequested, statusOfSignal } from './signals.ts'

/** The error of work that a signal ended before it was done. */
export class Interrupted extends Error {
  override name = 'Interrupted'
  /** The exit status that shells give a process ended by a signal: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP. */
  readonly exitStatus: number

  constructor(signal: NodeJS.Signals) {
    super(`interrupted (${signal})`)
    this.exitStatus = statusOfSignal(signal)
  }
}

/** Aborts its signal with Interrupted when the process is asked to end; a second request ends the process at once. */
export class Interruption {
  readonly #controller = new AbortController()

  constructor(stop: Promise<NodeJS.Signals> = stopRequested({ isHangupOne: true })) {
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
