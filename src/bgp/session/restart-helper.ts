// The helping side of graceful restart (RFC 4724 section 4.2, RFC 9494 section 4.3): a neighbour's routes outlive its session for a
// while. What is kept and for how long is decided here; the routes themselves are marked and removed by the RIB.
import { type Family } from '#/lib/addr.ts'
import { type Logger } from '#/lib/log.ts'
import { type Capabilities } from '#/wire/bgp/values.ts'
import { type SpeakerClock, type RouteSink, type SessionEnd, type Timer } from '../contract.ts'
import { type RestartTerms } from './open.ts'

type Deps = {
  readonly clock: SpeakerClock
  readonly routes: Pick<RouteSink, 'sweepStale' | 'keepStale'>
  readonly log: Logger
}

/** What ends the time of a family's stale routes: the restart time, the long-lived one, or that for End-of-RIB. */
type Stale = {
  readonly timer: Timer
  /**
   * When the time of routes of last resort is over, where there are such. Nothing prolongs it but End-of-RIB, which ends it (RFC 9494
   * section 4.2).
   */
  readonly longLivedUntilMs: number | undefined
}

export class RestartHelper {
  readonly #peer: string
  readonly #deps: Deps
  readonly #stale = new Map<Family, Stale>()

  constructor(options: { readonly peer: string }, deps: Deps) {
    this.#peer = options.peer
    this.#deps = deps
  }

  get isHelping(): boolean {
    return this.#stale.size > 0
  }

  /**
   * Before the routes hear of it: what is stale from the time before goes, so that it does not live on from restart to restart. What
   * stays as a last resort has its own time.
   */
  sessionDown(end: SessionEnd, terms: RestartTerms | undefined): void {
    const kept = end.kind === 'gone' || terms === undefined ? [] : end.families
    for (const [family, { longLivedUntilMs }] of this.#stale)
      if (longLivedUntilMs === undefined || !kept.includes(family)) this.#sweep(family)
    if (terms === undefined || kept.length === 0) return
    this.#deps.log.info('the peer may be restarting: its routes are kept for a while', {
      restartTimeSeconds: terms.restartTimeSeconds,
    })
    const nowMs = this.#deps.clock.nowMs()
    for (const family of kept) {
      const untilMs = this.#stale.get(family)?.longLivedUntilMs
      const restartMs = terms.restartTimeSeconds * 1000
      const delayMs = untilMs === undefined ? restartMs : Math.min(restartMs, Math.max(0, untilMs - nowMs))
      this.#wait(family, delayMs, () => this.#notBack(family, terms.longLivedSeconds.get(family) ?? 0), untilMs)
    }
  }

  /** It is back: what its OPEN says it did not keep forwarding goes now, the rest until its End-of-RIB at most. */
  sessionUp(remote: Capabilities, families: readonly Family[], stalePathTimeSeconds: number): void {
    const kept = [...(remote.gracefulRestart?.families ?? []), ...(remote.longLivedRestart ?? [])].filter(
      ({ family, keptForwarding }) => keptForwarding && families.includes(family),
    )
    const nowMs = this.#deps.clock.nowMs()
    for (const [family, { longLivedUntilMs }] of this.#stale) {
      const delayMs = longLivedUntilMs === undefined ? stalePathTimeSeconds * 1000 : longLivedUntilMs - nowMs
      if (kept.some((each) => each.family === family))
        this.#wait(family, delayMs, () => this.#sweep(family), longLivedUntilMs)
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
    for (const { timer } of this.#stale.values()) timer.cancel()
    this.#stale.clear()
  }

  #wait(family: Family, delayMs: number, call: () => void, longLivedUntilMs?: number): void {
    this.#stale.get(family)?.timer.cancel()
    const { clock, routes } = this.#deps
    const timer = clock.after(Math.max(0, delayMs), call)
    routes.keepStale(this.#peer, family, clock.wallMs() + Math.max(0, delayMs))
    this.#stale.set(family, { timer, longLivedUntilMs })
  }

  #notBack(family: Family, longLivedSeconds: number): void {
    const nowMs = this.#deps.clock.nowMs()
    const untilMs = Math.min(this.#stale.get(family)?.longLivedUntilMs ?? Infinity, nowMs + longLivedSeconds * 1000)
    if (untilMs <= nowMs) return this.#sweep(family)
    const leftSeconds = Math.round((untilMs - nowMs) / 1000)
    this.#deps.log.warn('the peer is not back; its routes stay as a last resort', { family, leftSeconds })
    this.#deps.routes.sweepStale(this.#peer, family, { toLongLived: true })
    this.#wait(family, untilMs - nowMs, () => this.#sweep(family), untilMs)
  }

  #sweep(family: Family): void {
    this.#stale.get(family)?.timer.cancel()
    this.#stale.delete(family)
    this.#deps.routes.sweepStale(this.#peer, family)
  }
}
