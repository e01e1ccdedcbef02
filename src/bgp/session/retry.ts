// How long to wait before another attempt to connect (ConnectRetryTimer, RFC 4271 section 8.1.1; jitter: section 10).
import { type FsmAction } from '../fsm/index.ts'

export type RetryReason = Extract<FsmAction, { kind: 'startRetry' }>['after']

/** A peer whose OPENs are refused is asked at least so often: somebody may have mended it. */
const longestBackOffMs = 120_000
/** The pause after a session that had lasted longer than the usual pause. */
const soonMs = 1_000

export class Retry {
  readonly #random: () => number
  #refusals = 0

  constructor(deps: { readonly random: () => number }) {
    this.#random = deps.random
  }

  /** `lastedMs`: of the session that was lost. */
  delayMs(after: RetryReason, connectRetrySeconds: number, lastedMs = 0): number {
    const usualMs = Math.max(1, connectRetrySeconds) * 1000
    const jitter = 1 + this.#random() / 4
    if (after === 'lost') return Math.min(usualMs, lastedMs > usualMs ? soonMs : usualMs) * jitter
    if (after === 'failed') return usualMs * jitter
    // the exponent is bounded: a peer can be refused for weeks
    const backOffMs = usualMs * 2 ** Math.min(this.#refusals++, 20)
    return Math.min(backOffMs, Math.max(usualMs, longestBackOffMs)) * jitter
  }

  /** A session is established: refusals of before count no more. */
  reset(): void {
    this.#refusals = 0
  }
}
