// How many prefixes a peer may send (RFC 4486 section 4): a leaked table must not fill this node's memory.
import { type Logger } from '#/lib/log.ts'
import { type MaxPrefixes } from '#/model/bgp.ts'

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

  /** In words, when `received` is too many. */
  check(limit: MaxPrefixes, received: number): string | undefined {
    if (received > limit.count) return `${received} prefixes where at most ${limit.count} are allowed`
    if (this.#isWarned || received * 100 < limit.count * limit.warningPercent) return undefined
    this.#isWarned = true
    this.#log.warn('the peer is near its limit of prefixes', { received, limit: limit.count })
    return undefined
  }
}
