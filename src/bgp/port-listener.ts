// The speaker's listener over its life: where another program has the port, sessions that this side begins go on, and it is tried again.
import { type Logger, messageOf } from '#/lib/log.ts'
import { type Connection, type Listener, type SpeakerClock, type Timer, type Transport } from './contract.ts'
import { Passwords } from './session/passwords.ts'

const firstPauseMs = 1_000
/** Each attempt looks for the owner of the port among all processes. */
const longestPauseMs = 30_000

export type PortListenerDeps = {
  readonly transport: Transport
  readonly clock: SpeakerClock
  readonly log: Logger
  readonly onConnection: (connection: Connection) => void
  /** It listens: passwords are to be set. */
  readonly onOpen: () => void
  /** Why nothing listens on the port, when that changes; undefined: something does, or nothing should. */
  readonly onTrouble?: ((why: string | undefined) => void) | undefined
}

export class PortListener {
  readonly #deps: PortListenerDeps
  #port: number | undefined
  #listener: Listener | undefined
  #passwords: Passwords | undefined
  #retry: Timer | undefined
  #trouble: string | undefined

  constructor(deps: PortListenerDeps) {
    this.#deps = deps
  }

  /** Absent while nothing listens. */
  get passwords(): Passwords | undefined {
    return this.#passwords
  }

  /** Listens on the port instead of on the one before; undefined: on none. */
  open(port: number | undefined): void {
    if (port === this.#port && (this.#listener !== undefined || this.#retry !== undefined)) return
    this.close()
    this.#port = port
    if (port === undefined) this.#tell(undefined)
    else this.#try(port, firstPauseMs)
  }

  close(): void {
    this.#retry?.cancel()
    this.#retry = undefined
    this.#listener?.close()
    this.#listener = undefined
    this.#passwords = undefined
  }

  #try(port: number, pauseMs: number): void {
    const { transport, clock, log, onConnection, onOpen } = this.#deps
    this.#retry = undefined
    try {
      this.#listener = transport.listen(port, onConnection)
    } catch (error) {
      this.#tell(messageOf(error))
      this.#retry = clock.after(pauseMs, () => this.#try(port, Math.min(pauseMs * 2, longestPauseMs)))
      return
    }
    this.#passwords = new Passwords({ listener: this.#listener, log })
    this.#tell(undefined)
    onOpen()
  }

  #tell(trouble: string | undefined): void {
    if (trouble === this.#trouble) return
    if (trouble === undefined) this.#deps.log.info('neighbours can connect again')
    else this.#deps.log.error('neighbours cannot connect', { error: trouble })
    this.#trouble = trouble
    this.#deps.onTrouble?.(trouble)
  }
}
