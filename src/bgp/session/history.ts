// What a peer's status tells of its past: since when the peer is in its state, how often its session ended, and why.
import { type Logger } from '#/lib/log.ts'
import { type PeerFaults, type SessionState } from '#/model/bgp.ts'
import { type Notification, notificationText } from '#/wire/bgp/index.ts'
import { type SpeakerClock } from '../contract.ts'
import { errorsOf } from './words.ts'

/** A peer can fill an UPDATE with faults. */
const longestFault = 512

export class History {
  readonly #clock: SpeakerClock
  readonly #log: Logger
  /** Wall clock. */
  #sinceMs: number
  #flaps = 0
  #faults: PeerFaults | undefined
  #lastError: string | undefined
  /** Why the last session ended, kept until there is another: attempts that fail since do not hide it. */
  #endedBecause: string | undefined
  /** What to call the notification that is sent next, when there is more to say of it than its name. */
  #sending: string | undefined

  constructor(deps: { readonly clock: SpeakerClock; readonly log: Logger }) {
    this.#clock = deps.clock
    this.#log = deps.log
    this.#sinceMs = deps.clock.wallMs()
  }

  /** Wall clock: when the peer came into its state. */
  get sinceMs(): number {
    return this.#sinceMs
  }

  /** How many established sessions have ended. */
  get flaps(): number {
    return this.#flaps
  }

  /** What is wrong now, and what ended the last session where that was something else. */
  get lastError(): string | undefined {
    return errorsOf(this.#lastError, this.#endedBecause)
  }

  /** The state machine has handled one event to its end; the two states may be the same. */
  moved(before: SessionState, after: SessionState): void {
    this.#sending = undefined
    if (before === after) return
    if (before === 'Established') this.#endedBecause = this.#lastError
    if (after === 'Established') this.#endedBecause = undefined
    this.#sinceMs = this.#clock.wallMs()
    this.#log.debug('session state', { from: before, to: after })
  }

  /** What RFC 7606 had to handle; undefined: nothing so far. */
  get faults(): PeerFaults | undefined {
    return this.#faults
  }

  /** An UPDATE had faults that RFC 7606 handles; `prefixes` of it were treated as withdrawn. */
  faulty(faults: readonly string[], prefixes: number): void {
    this.#faults = {
      updates: (this.#faults?.updates ?? 0) + 1,
      prefixes: (this.#faults?.prefixes ?? 0) + prefixes,
      last: faults.join('; ').slice(0, longestFault),
      lastMs: this.#clock.wallMs(),
    }
  }

  /** An established session has ended. */
  flapped(): void {
    this.#flaps++
  }

  /** An attempt has failed; no session ends by it. */
  note(why: string): void {
    this.#lastError = why
  }

  /** This is why there is no session now: what else ended the last one is not told beside it. */
  noteAlone(why: string): void {
    this.#endedBecause = undefined
    this.#lastError = why
  }

  /** A session ends, or a connection that might have become one. */
  ended(why: string): void {
    this.#lastError = why
    this.#log.warn('session ended', { why })
  }

  /** What to call the notification that is sent next, if one is sent. */
  explain(words: string): void {
    this.#sending = words
  }

  /** A notification that ends the session is about to be sent. */
  sends(notification: Notification): void {
    this.ended(`we sent ${this.#sending ?? notificationText(notification)}`)
  }
}
