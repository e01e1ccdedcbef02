// The helping side of graceful restart (RFC 4724 section 4.2, RFC 9494 section 4.3): a neighbour's routes outlive its session for a
// while. What is kept and for how long is decided here; the routes themselves are marked and removed by the RIB.
import { type Family } from '#/lib/addr.ts'
import { type Logger } from '#/lib/log.ts'
import { type Capabilities } from '#/wire/bgp/values.ts'
import { type Clock, type RouteSink, type SessionEnd, type Timer } from '../contract.ts'
import { type RestartTerms } from './open.ts'

type Deps = { readonly clock: Clock; readonly routes: Pick<RouteSink, 'sweepStale'>; readonly log: Logger }

export class RestartHelper {
  readonly #peer: string
  readonly #deps: Deps
  /** Families with stale routes, and what ends their time: the restart time, the long-lived one, or that for End-of-RIB. */
  readonly #stale = new Map<Family, Timer>()

  constructor(options: { readonly peer: string }, deps: Deps) {
    this.#peer = options.peer
    this.#deps = deps
  }

  get isHelping(): boolean {
    return this.#stale.size > 0
  }

  /** Before the routes hear of it: what is stale from the time before goes, so that it does not live on from restart to restart. */
  sessionDown(end: SessionEnd, terms: RestartTerms | undefined): void {
    this.clear()
    if (end.kind === 'gone' || terms === undefined) return
    this.#deps.log.info('the peer may be restarting: its routes are kept for a while', {
      restartTimeSeconds: terms.restartTimeSeconds,
    })
    for (const family of end.families)
      this.#wait(family, terms.restartTimeSeconds, () => this.#notBack(family, terms.longLivedSeconds.get(family) ?? 0))
  }

  /** It is back: what its OPEN says it did not keep forwarding goes now, the rest until its End-of-RIB at most. */
  sessionUp(remote: Capabilities, families: readonly Family[], stalePathTimeSeconds: number): void {
    const kept = [...(remote.gracefulRestart?.families ?? []), ...(remote.longLivedRestart ?? [])].filter(
      ({ family, keptForwarding }) => keptForwarding && families.includes(family),
    )
    for (const family of this.#stale.keys()) {
      if (kept.some((each) => each.family === family))
        this.#wait(family, stalePathTimeSeconds, () => this.#sweep(family))
      else this.#sweep(family)
    }
  }

  /** It has sent everything it has: what is still stale is no more. */
  endOfRib(family: Family): void {
    if (this.#stale.has(family)) this.#sweep(family)
  }

  /** Whatever is stale goes now. */
  clear(): void {
    for (const family of this.#stale.keys()) this.#sweep(family)
  }

  /** Leaves everything as it is. */
  freeze(): void {
    for (const timer of this.#stale.values()) timer.cancel()
    this.#stale.clear()
  }

  #wait(family: Family, seconds: number, call: () => void): void {
    this.#stale.get(family)?.cancel()
    this.#stale.set(family, this.#deps.clock.after(seconds * 1000, call))
  }

  #notBack(family: Family, longLivedSeconds: number): void {
    if (longLivedSeconds === 0) return this.#sweep(family)
    this.#deps.log.warn('the peer is not back; its routes stay as a last resort', { family, longLivedSeconds })
    this.#deps.routes.sweepStale(this.#peer, family, { toLongLived: true })
    this.#wait(family, longLivedSeconds, () => this.#sweep(family))
  }

  #sweep(family: Family): void {
    this.#stale.get(family)?.cancel()
    this.#stale.delete(family)
    this.#deps.routes.sweepStale(this.#peer, family)
  }
}
