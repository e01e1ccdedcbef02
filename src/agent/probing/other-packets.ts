// Whether what becomes of echo requests becomes of other packets too: a firewall, or a kernel, may limit how many of these alone it answers, or how large
// they are. Pure.

/** So sure is what is concluded: one time in a hundred it is wrong. */
const certainty = Math.log(100)
/** Of connections over a way that loses nothing, since a process may be late. */
const strayLoss = 0.01
/** So many connections have to be lost before nothing else than echo requests is said to be answered. */
const leastSilent = 8
const [leastLoss, mostLoss] = [0.05, 0.95]

/** `open`: not enough was tried; `echoes`: they alone are lost; `all`: other packets are, too, or nothing else is answered at all. */
export type LossOutcome = 'open' | 'echoes' | 'all'

/** Wald's sequential test: connections that are tried are lost as often as echo requests, or they are not lost. */
export class LossTest {
  #sum = 0
  tried = 0
  answered = 0

  /** `echoLoss`: the share of echo requests that is lost now, 0 to 1. */
  note(isAnswered: boolean, echoLoss: number): void {
    const loss = Math.min(Math.max(echoLoss, leastLoss), mostLoss)
    this.tried++
    if (isAnswered) this.answered++
    this.#sum += isAnswered ? Math.log((1 - loss) / (1 - strayLoss)) : Math.log(loss / strayLoss)
  }

  get outcome(): LossOutcome {
    if (this.#sum >= certainty) return this.answered > 0 || this.tried >= leastSilent ? 'all' : 'open'
    return this.#sum <= -certainty ? 'echoes' : 'open'
  }
}

/** What is known of the loss on one way. What was found out holds until the contrary is: it is tried again and again. */
export class LossKnown {
  #decided: LossTest | undefined
  #now = new LossTest()

  note(isAnswered: boolean, echoLoss: number): void {
    this.#now.note(isAnswered, echoLoss)
    if (this.#now.outcome === 'open') return
    this.#decided = this.#now
    this.#now = new LossTest()
  }

  get outcome(): LossOutcome {
    return this.#decided?.outcome ?? 'open'
  }

  /** Of the tries that have decided. */
  get tries(): { readonly tried: number; readonly answered: number } {
    const { tried = 0, answered = 0 } = this.#decided ?? {}
    return { tried, answered }
  }
}

/** So often a datagram of the full size is not answered, and one that is small is. */
const enoughSizes = 2
/** So often neither is: then nothing more is to be found out. */
const enoughSilence = 3
/** For how long an answer counts. */
const wideMs = 12_000

/** Whether only echo requests of the full size are lost, by datagrams that the other kernel refuses. */
export class SizesKnown {
  #wideAtMs = -Infinity
  #narrow = 0
  #silent = 0

  note(answered: { readonly small: boolean; readonly full: boolean }, nowMs: number): void {
    if (answered.full) {
      this.#wideAtMs = nowMs
      this.#narrow = this.#silent = 0
    } else if (answered.small) this.#narrow++
    else this.#silent++
  }

  outcome(nowMs: number): LossOutcome {
    if (nowMs - this.#wideAtMs < wideMs) return 'echoes'
    return this.#narrow >= enoughSizes || this.#silent >= enoughSilence ? 'all' : 'open'
  }

  /** Whether it was seen that datagrams of the full size are lost as well. */
  get isSeen(): boolean {
    return this.#narrow >= enoughSizes
  }
}

/** How often a way that loses echo requests is tried otherwise, until it is known whether these alone are lost; and then. */
const tryEveryMs = { open: 500, known: 5_000 } as const
/** The same of packets of the full size: a kernel limits how often it says that nobody wants them. */
const trySizesEveryMs = { open: 1_000, known: 5_000 } as const

/** What is known of other packets on one way, and when to try some. */
export class OtherPackets {
  #loss = new LossKnown()
  #sizes = new SizesKnown()
  #triedMs = -Infinity
  #triedSizesMs = -Infinity

  /** Whether they are lost, where echo requests are lost here and there. */
  get loss(): LossKnown {
    return this.#loss
  }

  /** Whether those of the full size are, where echo requests of it are. */
  get sizes(): SizesKnown {
    return this.#sizes
  }

  isTryDue(nowMs: number): boolean {
    const everyMs = this.#loss.outcome === 'open' ? tryEveryMs.open : tryEveryMs.known
    return nowMs - this.#triedMs >= everyMs
  }

  noteTry(isAnswered: boolean, echoLoss: number, nowMs: number): void {
    this.#triedMs = nowMs
    this.#loss.note(isAnswered, echoLoss)
  }

  isSizesTryDue(nowMs: number): boolean {
    const everyMs = this.#sizes.outcome(nowMs) === 'open' ? trySizesEveryMs.open : trySizesEveryMs.known
    return nowMs - this.#triedSizesMs >= everyMs
  }

  noteSizes(answered: Parameters<SizesKnown['note']>[0], nowMs: number): void {
    this.#triedSizesMs = nowMs
    this.#sizes.note(answered, nowMs)
  }

  forgetLoss(): void {
    this.#loss = new LossKnown()
  }

  forgetSizes(): void {
    this.#sizes = new SizesKnown()
  }
}
