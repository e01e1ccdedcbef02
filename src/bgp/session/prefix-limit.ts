// How many prefixes a peer may send (RFC 4486 section 4): a leaked table must not fill this node's memory.
import { type Logger } from '#/lib/log.ts'
import { type MaxPrefixes } from '#/model/bgp.ts'

export type Counts = {
  /** All that is held of what the peer has sent. */
  readonly received: number
  /** Of these, what the import policy has taken. */
  readonly accepted: number
}

export class PrefixLimit {
  readonly #log: Logger
  #isWarned = false

  constructor(deps: { readonly log: Logger }) {
    this.#log = deps.log
  }

  /** A new session. */
  reset(): void {
    this.#isWarned = false
  }

  /** In words, when there are too many. */
  check(limit: MaxPrefixes, { received, accepted }: Counts): string | undefined {
    const { count, receivedCount, warningPercent } = limit
    const counted = receivedCount === undefined ? received : accepted
    if (counted > count) return `${counted} prefixes where at most ${count} are allowed`
    if (receivedCount !== undefined && received > receivedCount)
      return `${received} prefixes where at most ${receivedCount} are allowed, ${accepted} of them accepted by the import policy`
    if (this.#isWarned || counted * 100 < count * warningPercent) return undefined
    this.#isWarned = true
    this.#log.warn('the peer is near its limit of prefixes', { prefixes: counted, limit: count })
    return undefined
  }
}
