// What is known of one way by its probes, and when the next ones are due. Pure.
import { leastEchoBytes, usualEchoBytes } from '#/wire/icmp/packet.ts'
import { type Addr } from '#/lib/addr.ts'
import { overheadBytes } from '#/plan/overlay.ts'
import { OtherPackets } from './other-packets.ts'
import { OtherSigns } from './other-signs.ts'
import { lostRuns, newTally, note, type Refusal, windowProbes } from './tally.ts'
import { type Target } from './targets.ts'

export type Size = 'small' | 'full'

/** For each so many small probes one of the full size is sent. */
const smallPerFull = 3
/** A probe without an answer for so long is lost. */
export const lostAfterMs = 1_000
/**
 * After so long without an answer, and twice as long as the last one took, a way is in doubt: it is asked again soon, so that a break shows within
 * seconds, and a lost packet is none.
 */
const doubtAfterMs = { least: 400, most: 900 } as const
const doubtEveryMs = 150
/** So many lost in a row are a break, and are needed before others are sent as usual again. */
const brokenAfter = { small: 7, full: 6 } as const
/** Of so many the last small ones. */
const fewProbes = 20
/** Where small ones are lost as well, this many large ones. */
const fullAmongLosses = 12
/** A break is told after so long at the soonest: routes change within that. */
const leastBreakMs = 2_000
/** So many answers in a row, and the way is whole again. */
const wholeAfter = 3
const lossyPercent = 5
/** Hysteresis: a lossy way is well again below this. */
const wellPercent = 2
/** Where packets are lost here and there, several in a row are no break before so long. */
const lossyBreakMs = 10_000
/** Packets must have been lost so many times, with answers in between: an interruption is no loss here and there. */
const leastRuns = 3
/** Of those that were lost in a row, so many count. */
const mostPerRun = 3
/** After so many small ones in a row that were lost another sign of life is looked for. */
const checkAfter = 2
/** How long a node may take until its pods' network answers, after it was first asked or has come back. */
const graceMs = 30_000

/** Timers may fire that much early. */
export const toleranceMs = 1

type Sent = { readonly atMs: number; readonly size: Size; readonly isExtra: boolean }

export type WayPace = {
  /** How often a small probe is sent. */
  readonly everyMs: number
  /** All probes count, at whichever pace they are sent: somebody has asked for them. */
  readonly countsAll?: boolean
}

export class WayState {
  readonly target: Target
  readonly #everyMs: { readonly [S in Size]: number }
  readonly #countsAll: boolean
  readonly startedMs: number
  readonly sizes = { small: newTally(), full: newTally() }
  readonly #open = new Map<number, Sent>()
  #isLossy = false
  #answeredMs: number | undefined
  /** When the latest of the small probes that were answered was sent. */
  #arrivedMs = -Infinity
  #lastRttMs = 0
  #isOfMemory = false
  readonly others = new OtherPackets()
  readonly signs: OtherSigns
  #graceUntilMs: number

  constructor(target: Target, nowMs: number, { everyMs, countsAll = false }: WayPace) {
    this.target = target
    this.#everyMs = { small: everyMs, full: everyMs * smallPerFull }
    this.#countsAll = countsAll
    this.signs = new OtherSigns(everyMs)
    this.startedMs = nowMs
    this.#graceUntilMs = nowMs + graceMs
    // not all ways at once: these packets are large
    this.sizes.full.lastRegularMs = nowMs - (placeOf(target.key) % this.#everyMs.full)
  }

  /** The size of the IP packet; undefined: none of this size is sent. */
  bytesOf(size: Size): number | undefined {
    const { family, mtuBytes } = this.target
    const usual = usualEchoBytes(family)
    if (size === 'small') return usual
    return mtuBytes === undefined || mtuBytes < leastEchoBytes(family) ? undefined : mtuBytes
  }

  get answeredMs(): number | undefined {
    return this.#answeredMs
  }

  /** Whether nothing is answered any more, or has ever been. */
  get isSilent(): boolean {
    return this.sizes.small.isBroken
  }

  /** Whether the last probe that is decided was lost. */
  get isFailing(): boolean {
    return this.isSilent || this.sizes.small.lostInRow > 0
  }

  /** Whether a small probe that was sent later than that was answered. */
  hasAnsweredSince(ms: number): boolean {
    return this.#arrivedMs > ms
  }

  /** Since when that is so. */
  get silentSinceMs(): number {
    return this.sizes.small.lostSinceMs
  }

  /** Whether echo requests are lost here and there. */
  get isLossy(): boolean {
    return this.#isLossy
  }

  /** Whether it is time to try a connection, to know whether other packets are lost as well. */
  isTryDue(nowMs: number): boolean {
    return this.#isLossy && !this.isSilent && this.others.isTryDue(nowMs)
  }

  noteTry(isAnswered: boolean, nowMs: number): void {
    const { sent, answered } = this.window('small')
    if (sent > 0) this.others.noteTry(isAnswered, (sent - answered) / sent, nowMs)
  }

  /** The same of packets of the full size. */
  isSizesTryDue(nowMs: number): boolean {
    return this.isSmallOnly && this.others.isSizesTryDue(nowMs)
  }

  /** Whether the kernel of this node does not send large packets because of what it remembers of the path. */
  get isOfMemory(): boolean {
    return this.#isOfMemory
  }

  /** Takes in the MTU by which the kernel goes for packets of the tunnel. */
  noteMemory({ dst }: { readonly dst: Addr }, mtuBytes: number): void {
    const wanted = (this.target.mtuBytes ?? 0) + overheadBytes[dst.family]
    this.#isOfMemory = mtuBytes < wanted
    if (!this.#isOfMemory) return
    const why = `it was told that the path to ${dst} takes ${mtuBytes} bytes at most, and remembers that`
    this.sizes.full.refused = { by: 'this node', why }
  }

  /** Whether it is time to look for another sign of life. */
  isCheckDue(nowMs: number): boolean {
    const { lostInRow } = this.sizes.small
    return (this.isSilent || lostInRow >= checkAfter) && this.signs.isCheckDue(nowMs)
  }

  /** Whether nothing else is answered either. */
  isDead(nowMs: number): boolean {
    return this.isSilent && this.signs.isDeadSince(this.silentSinceMs, nowMs)
  }

  /** Whether only packets of the full size are lost. */
  get isSmallOnly(): boolean {
    const { isBroken, lostSinceMs } = this.sizes.full
    return isBroken && !this.isFailing && !this.#isLossy && this.#arrivedMs > lostSinceMs
  }

  /** Whether packets of the full size arrive. */
  get isWide(): boolean {
    const { isBroken, answered } = this.sizes.full
    return answered > 0 && !isBroken
  }

  /** Whether too little was sent to say anything. */
  get isFresh(): boolean {
    return !this.isSilent && this.sizes.small.answered < wholeAfter
  }

  /** Whether silence says nothing yet: the other node may not have come so far. */
  isInGrace(nowMs: number): boolean {
    return nowMs < this.#graceUntilMs
  }

  /** Grants the other node the time that it takes to set up its network. */
  grantGrace(nowMs: number): void {
    this.#graceUntilMs = nowMs + graceMs
  }

  /** Whether probes of the other node have arrived lately, also since nothing is answered. */
  isHeard(nowMs: number): boolean {
    const { lostInRow, lostSinceMs } = this.sizes.small
    return this.signs.isHeardSince(lostInRow === 0 ? -Infinity : lostSinceMs + lostAfterMs, nowMs)
  }

  /** When a probe of this size is due. */
  dueMs(size: Size, nowMs: number): number {
    const { small, full } = this.sizes
    if (this.bytesOf(size) === undefined) return Infinity
    // while small ones are lost, large ones say nothing
    if (size === 'full' && (small.lostInRow > 0 || small.answered === 0)) return Infinity
    const each = size === 'small' ? small : full
    const regular = size === 'small' ? this.#smallDueMs : this.#fullDueMs
    return this.#isInDoubt(size, nowMs) ? Math.min(regular, each.lastSentMs + doubtEveryMs) : regular
  }

  get #smallDueMs(): number {
    return this.sizes.small.lastRegularMs + this.#everyMs.small
  }

  /** Together with a small one, so that this process wakes up once for both. */
  get #fullDueMs(): number {
    const { small, full } = this.#everyMs
    const dueMs = this.sizes.full.lastRegularMs + full
    const [soon, later] = [this.#smallDueMs, this.#smallDueMs + small]
    return dueMs <= soon + small / 2 ? soon : later
  }

  #isInDoubt(size: Size, nowMs: number): boolean {
    const { lostInRow, answeredInRow, isBroken } = this.sizes[size]
    // it comes back: whether for good shows soon
    if (isBroken) return answeredInRow > 0
    let waiting = 0
    let oldestMs = Infinity
    for (const sent of this.#open.values()) {
      if (sent.size !== size) continue
      waiting++
      oldestMs = Math.min(oldestMs, sent.atMs)
    }
    const isDoubtful = lostInRow > 0 || nowMs - oldestMs >= this.#doubtAfterMs - toleranceMs
    return isDoubtful && lostInRow + waiting < brokenAfter[size]
  }

  get #doubtAfterMs(): number {
    return Math.min(Math.max(doubtAfterMs.least, 2 * this.#lastRttMs), doubtAfterMs.most)
  }

  /** When to look next: a probe is due, or one without an answer puts the way in doubt, or is lost. */
  nextMs(nowMs: number): number {
    let next = Math.min(this.dueMs('small', nowMs), this.dueMs('full', nowMs))
    for (const { atMs } of this.#open.values())
      next = Math.min(next, atMs + (nowMs - atMs < this.#doubtAfterMs - toleranceMs ? this.#doubtAfterMs : lostAfterMs))
    return next
  }

  /** When the last probe was sent. */
  get lastSentMs(): number {
    return Math.max(this.sizes.small.lastSentMs, this.sizes.full.lastSentMs)
  }

  /** Whether an answer to this probe may still come. */
  waitsFor(seq: number): boolean {
    return this.#open.has(seq)
  }

  get isWaiting(): boolean {
    return this.#open.size > 0
  }

  /** Takes note that a probe was sent; `seq` names it. */
  sent(size: Size, seq: number, nowMs: number): void {
    const each = this.sizes[size]
    const isExtra = !this.#countsAll && nowMs < (size === 'small' ? this.#smallDueMs : this.#fullDueMs) - toleranceMs
    each.sent++
    each.lastSentMs = nowMs
    if (!isExtra) each.lastRegularMs = nowMs
    this.#open.set(seq, { atMs: nowMs, size, isExtra })
  }

  answered(seq: number, nowMs: number, rttMs: number | undefined): void {
    const sent = this.#open.get(seq)
    if (sent === undefined) return
    this.#open.delete(seq)
    const each = this.sizes[sent.size]
    each.answered++
    each.answeredInRow++
    each.lostInRow = 0
    each.refused = undefined
    this.#answeredMs = nowMs
    this.#graceUntilMs = -Infinity
    this.#lastRttMs = nowMs - sent.atMs
    if (sent.size === 'small') this.#arrivedMs = Math.max(this.#arrivedMs, sent.atMs)
    if (!sent.isExtra) note(each, { atMs: sent.atMs, isAnswered: true, ...(rttMs !== undefined && { rttMs }) })
    if (each.isBroken && each.answeredInRow >= wholeAfter) {
      each.isBroken = false
      if (sent.size === 'full') this.others.forgetSizes()
      // a break is no loss in part, however often it comes
      each.results = each.results.filter(({ atMs, isAnswered }) => isAnswered || atMs < each.lostSinceMs)
    }
    this.#weigh()
  }

  /** Takes note of an error about a probe, which is lost. */
  refused(seq: number, refusal: Refusal, nowMs: number): void {
    const sent = this.#open.get(seq)
    if (sent === undefined) return
    this.sizes[sent.size].refused = refusal
    this.#open.delete(seq)
    this.#lose(sent, nowMs)
  }

  /** Counts as lost what was not answered in time. */
  expire(nowMs: number): void {
    for (const [seq, sent] of this.#open) {
      if (nowMs - sent.atMs < lostAfterMs - toleranceMs) continue
      this.#open.delete(seq)
      this.#lose(sent, nowMs)
    }
  }

  #lose({ atMs, size, isExtra }: Sent, nowMs: number): void {
    const each = this.sizes[size]
    each.lost++
    each.answeredInRow = 0
    if (each.lostInRow === 0 && !each.isBroken) each.lostSinceMs = atMs
    each.lostInRow++
    if (!isExtra) note(each, { atMs, isAnswered: false })
    const longMs = size === 'full' ? 0 : this.#isLossy ? lossyBreakMs : leastBreakMs
    const enough = size === 'full' && this.#losesSmall ? fullAmongLosses : brokenAfter[size]
    if (each.lostInRow >= enough && nowMs - each.lostSinceMs >= longMs) each.isBroken = true
    this.#weigh()
  }

  get #losesSmall(): boolean {
    return this.sizes.small.results.slice(-fewProbes).some(({ isAnswered }) => !isAnswered)
  }

  /** Nothing is concluded from what is under way: this process did not run for a while. */
  forget(): void {
    this.#open.clear()
  }

  #weigh(): void {
    const { results } = this.sizes.small
    // too few probes tell no loss, but those since a break may tell that there is none any more
    const isWhole = results.length >= windowProbes
    if (this.sizes.small.isBroken || (!isWhole && !this.#isLossy)) return
    const runs = lostRuns(results)
    const lost = runs.reduce((sum, run) => sum + Math.min(run, mostPerRun), 0)
    const percent = (lost * 100) / results.length
    if (isWhole && percent >= lossyPercent && runs.length >= leastRuns) this.#isLossy = true
    else if (percent < wellPercent && this.#isLossy) {
      this.#isLossy = false
      this.others.forgetLoss()
    }
  }

  /** Probes of one size in the window. */
  window(size: Size): { readonly sent: number; readonly answered: number; readonly sinceMs: number } {
    const { results } = this.sizes[size]
    const answered = results.filter(({ isAnswered }) => isAnswered).length
    return { sent: results.length, answered, sinceMs: results[0]?.atMs ?? this.startedMs }
  }

  /** The round trips of small probes in the window, sorted. */
  get rttsMs(): number[] {
    return this.sizes.small.results.flatMap(({ rttMs }) => rttMs ?? []).toSorted((a, b) => a - b)
  }
}

function placeOf(key: string): number {
  let sum = 0
  for (let index = 0; index < key.length; index++) sum = (sum * 31 + key.charCodeAt(index)) >>> 0
  return sum
}
