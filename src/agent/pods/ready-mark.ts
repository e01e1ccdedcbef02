// Notes in a file, again and again, that this node is ready. An agent that is away breaks no pod's network: while the note is young, the
// CNI plugin answers STATUS for the absent agent with success, so that an upgrade does not take the node from its pods. The file is in
// the run directory, which a reboot empties.
import { type Logger, messageOf } from '#/lib/log.ts'
import { removeFile, writeWholeFile } from '../whole-file.ts'

/** How often the file is written: often enough that its age tells how long the agent has been away. */
export const readyMarkMs = 10_000

export type ReadyMarkDeps = {
  /** Whether STATUS would succeed now. */
  readonly isReady: () => boolean
  /** Milliseconds since boot, asleep or awake. */
  readonly sinceBootMs: () => number
  readonly log: Logger
}

export class ReadyMark implements Disposable {
  readonly #path: string
  readonly #deps: ReadyMarkDeps
  #timer: NodeJS.Timeout | undefined
  #lastError = ''

  constructor(path: string, deps: ReadyMarkDeps) {
    this.#path = path
    this.#deps = deps
  }

  start(): void {
    this.update()
    this.#timer = setInterval(() => this.update(), readyMarkMs)
    this.#timer.unref()
  }

  /** Writes the file with the seconds since boot, or removes it when the node is not ready. */
  update(): void {
    const { isReady, sinceBootMs, log } = this.#deps
    try {
      if (isReady()) writeWholeFile(this.#path, Buffer.from(`${Math.floor(sinceBootMs() / 1000)}\n`), 0o600)
      else removeFile(this.#path)
      this.#lastError = ''
    } catch (error) {
      const text = messageOf(error)
      if (text !== this.#lastError)
        log.warn('cannot note that this node is ready: an agent that is away will count as a node that is not', {
          error: text,
        })
      this.#lastError = text
    }
  }

  /** Leaves the file: it is for the time after this agent. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}
