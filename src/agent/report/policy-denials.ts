// What policies deny, as the kernel tells it packet by packet: the evaluator names the policy and the pods. Kept for the API, and told in the
// log at a bounded rate. Packets come from pods, which may send anything at any rate: nothing here throws or grows.
import { type Denial } from '#/api/schemas/policy.ts'
import { type Clock } from '#/cluster/clock.ts'
import { TokenBucket } from '#/cluster/token-bucket.ts'
import { type Logger } from '#/lib/log.ts'
import { readDenialPrefix } from '#/plan/policy/names.ts'
import { type PolicyView } from '#/policy/cluster.ts'
import { evaluateDirection } from '#/policy/evaluate.ts'
import { protocolText } from '#/policy/words.ts'
import { type IpPacket, readIpPacket } from '#/wire/ip/packet.ts'
import { byText, endName } from './policy-names.ts'

/** A packet as nflog tells it. */
export type ToldPacket = { readonly prefix: string; readonly packet: Uint8Array }

export type PolicyDenialsDeps = {
  readonly view: () => PolicyView
  /** Enters the connection of a TCP packet anew when connection tracking has lost it; whether it did. */
  readonly adopt: (packet: IpPacket) => boolean
  readonly clock: Clock
  readonly log: Logger
}

/** Denials of one connection and reason are one; so many of these are kept. */
const mostKept = 1000
/** Packets that are looked at: each costs the evaluator some ten microseconds. */
const looks = { burst: 400, perSecond: 200 }
/** Of one sender, so that one that sends all the time leaves looks for others: some may find a connection to be taken up. */
const looksOfSender = { burst: 40, perSecond: 20 }
const mostSenders = 256
const lines = { burst: 20, perSecond: 10 }
/** A denial that goes on is told again after this time. */
const quietMs = 60_000
/** How often is told how much the log leaves out. */
const summaryMs = 10_000

type Kept = { readonly denial: Denial; readonly loggedMs: number; readonly sinceLogged: number }

export class PolicyDenials implements Disposable {
  readonly #deps: PolicyDenialsDeps
  readonly #looks: TokenBucket
  /** By the sender's address. The one that was asked for last is the last. */
  readonly #senders = new Map<string, TokenBucket>()
  readonly #lines: TokenBucket
  /** The one that came last is the last. */
  readonly #kept = new Map<string, Kept>()
  readonly #followers = new Set<(denial: Denial) => void>()
  #notTold = 0
  #notLogged = 0
  #cancelSummary: (() => void) | undefined

  constructor(deps: PolicyDenialsDeps) {
    this.#deps = deps
    this.#looks = new TokenBucket(looks, deps)
    this.#lines = new TokenBucket(lines, deps)
  }

  /** Packets that came too fast to be looked at. */
  get notTold(): number {
    return this.#notTold
  }

  /** The latest first. */
  get recent(): Denial[] {
    return Array.from(this.#kept.values(), ({ denial }) => denial).toReversed()
  }

  /** Calls `follower` with each denial from now on, as far as they are looked at. */
  follow(follower: (denial: Denial) => void): Disposable {
    this.#followers.add(follower)
    return { [Symbol.dispose]: () => void this.#followers.delete(follower) }
  }

  get followers(): number {
    return this.#followers.size
  }

  note({ prefix, packet: bytes }: ToldPacket): void {
    const told = readDenialPrefix(prefix)
    // somebody else logs to this group
    if (told === undefined) return
    const packet = readIpPacket(bytes)
    if (packet === undefined) return
    if (!this.#looksOf(`${packet.src}`).take() || !this.#looks.take()) {
      this.#notTold++
      return
    }
    if (packet.tcp !== undefined && this.#deps.adopt(packet)) return
    const view = this.#deps.view()
    const { src, dst, protocol, port } = packet
    const { decision, isDenied } = evaluateDirection(view, packet, told.direction)
    this.#keep({
      direction: told.direction,
      src: `${src}`,
      dst: `${dst}`,
      from: endName(view, src),
      to: endName(view, dst),
      protocol: protocolText(protocol),
      ...(port !== undefined && { port }),
      by: isDenied ? byText(decision) : `${told.rule ?? `class ${told.class}`}, which policies of now do not have`,
      isAudited: told.isAudited,
    })
  }

  #looksOf(sender: string): TokenBucket {
    const looksLeft = this.#senders.get(sender) ?? new TokenBucket(looksOfSender, this.#deps)
    this.#senders.delete(sender)
    this.#senders.set(sender, looksLeft)
    const [oldest] = this.#senders.keys()
    if (this.#senders.size > mostSenders && oldest !== undefined) this.#senders.delete(oldest)
    return looksLeft
  }

  #keep(what: Omit<Denial, 'firstMs' | 'lastMs' | 'packets'>): void {
    const nowMs = this.#deps.clock.wallMs()
    const key = JSON.stringify(what)
    const known = this.#kept.get(key)
    const denial = {
      ...what,
      firstMs: known?.denial.firstMs ?? nowMs,
      lastMs: nowMs,
      packets: (known?.denial.packets ?? 0) + 1,
    }
    const isNews = known === undefined || nowMs - known.loggedMs >= quietMs
    const sinceLogged = (known?.sinceLogged ?? 0) + 1
    const isLogged = isNews && this.#log(denial, sinceLogged)
    this.#kept.delete(key)
    this.#kept.set(
      key,
      isLogged
        ? { denial, loggedMs: nowMs, sinceLogged: 0 }
        : { denial, loggedMs: known?.loggedMs ?? -Infinity, sinceLogged },
    )
    const [oldest] = this.#kept.keys()
    if (this.#kept.size > mostKept && oldest !== undefined) this.#kept.delete(oldest)
    for (const follower of this.#followers) follower(denial)
  }

  /** Returns whether there was room for the line. */
  #log(denial: Denial, packets: number): boolean {
    if (!this.#lines.take()) {
      this.#notLogged++
      this.#cancelSummary ??= this.#deps.clock.after(summaryMs, () => this.#summarize())
      return false
    }
    const { from, to, src, dst, protocol, port, by, direction, isAudited } = denial
    const what = `${from} → ${to} ${protocol}${port === undefined ? '' : ` ${port}`}: ${by} (${direction})`
    this.#deps.log.info(`policy ${isAudited ? 'would deny' : 'denied'} ${what}`, { src, dst, packets })
    return true
  }

  #summarize(): void {
    this.#cancelSummary = undefined
    const denials = this.#notLogged
    this.#notLogged = 0
    this.#deps.log.info('policies denied more than the log has lines for: causeway policy denials', { denials })
  }

  [Symbol.dispose](): void {
    this.#cancelSummary?.()
    this.#followers.clear()
  }
}
