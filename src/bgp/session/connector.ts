// Connections that we make to a peer: one attempt at a time, and the pauses between (ConnectRetryTimer).
import { type Addr } from '#/lib/addr.ts'
import { type PeerConfig } from '#/model/bgp.ts'
import { type Connection, type Timer } from '../contract.ts'
import { type SessionDeps } from './deps.ts'
import { connectOptions } from './peer-settings.ts'
import { Retry, type RetryReason } from './retry.ts'
import { connectFailure, noRouterOn } from './words.ts'

type Deps = Pick<SessionDeps, 'transport' | 'clock' | 'random' | 'linkLocalOf' | 'linkTroubleOf'> & {
  readonly onConnected: (connection: Connection) => void
  /** Why, in words. Never from within `connect`. */
  readonly onFailed: (why: string) => void
  readonly onRetryDue: () => void
  /** What was thrown by one of these, or by this program's own code. */
  readonly onFault: (error: unknown) => void
  /** The address of a peer that has none configured, when it is found or is another one. */
  readonly onAddr: () => void
}

export class Connector {
  readonly #deps: Deps
  readonly #retry: Retry
  #attempt: AbortController | undefined
  #timer: Timer | undefined
  #linkLocal: Addr | undefined

  constructor(deps: Deps) {
    this.#deps = deps
    this.#retry = new Retry(deps)
  }

  /** What was found at the other end of the peer's device. */
  get linkLocal(): Addr | undefined {
    return this.#linkLocal
  }

  connect(config: PeerConfig): void {
    const attempt = new AbortController()
    this.#attempt = attempt
    this.#try(config, attempt).catch(this.#deps.onFault)
  }

  abort(): void {
    this.#attempt?.abort()
    this.#attempt = undefined
  }

  /** `lastedMs`: of the session that was lost. */
  startRetry(after: RetryReason, config: PeerConfig, lastedMs: number): void {
    const delayMs = this.#retry.delayMs(after, config.timers.connectRetrySeconds, lastedMs)
    this.#timer?.cancel()
    this.#timer = this.#deps.clock.after(delayMs, this.#deps.onRetryDue)
  }

  stopRetry(): void {
    this.#timer?.cancel()
  }

  /** A session is established: refusals of before count no more. */
  succeeded(): void {
    this.#retry.reset()
  }

  async #try(config: PeerConfig, attempt: AbortController): Promise<void> {
    const outcome = await this.#outcome(config, attempt.signal)
    if (this.#attempt !== attempt) {
      if (typeof outcome !== 'string') outcome.destroy()
      return
    }
    this.#attempt = undefined
    if (typeof outcome === 'string') this.#deps.onFailed(outcome)
    else this.#deps.onConnected(outcome)
  }

  async #outcome(config: PeerConfig, signal: AbortSignal): Promise<Connection | string> {
    const addr = config.addr ?? this.#find(config.device)
    const linkTrouble = config.device === undefined ? undefined : this.#deps.linkTroubleOf?.(config.device)
    if (linkTrouble !== undefined) return connectFailure(config, addr, linkTrouble)
    if (addr === undefined) return noRouterOn(config.device)
    try {
      return await this.#deps.transport.connect(connectOptions(config, addr), signal)
    } catch (error) {
      return connectFailure(config, addr, error)
    }
  }

  #find(device: string | undefined): Addr | undefined {
    const found = device === undefined ? undefined : this.#deps.linkLocalOf?.(device)
    if (found === undefined || this.#linkLocal?.equals(found) === true) return found
    this.#linkLocal = found
    this.#deps.onAddr()
    return found
  }
}
