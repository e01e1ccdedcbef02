// Asks a way something else than echo requests where these are not answered: a firewall may refuse them, or limit how many or how large ones are answered.
import { type Addr, type Prefix } from '#/lib/addr.ts'
import { comesFrom } from './arrivals.ts'
import { alike, type ProbeState, stateOfAsked } from './judge.ts'
import { LossTest } from './other-packets.ts'
import { answersTcp } from './tcp-answer.ts'
import { refusesUdp } from './udp-answer.ts'
import { type WayState } from './way-state.ts'

/** A few losses of a few probes need more connections than there is time for while somebody waits. */
const mostTries = 24
const triesAtOnce = 8

export type Sources = {
  /** Whether an address answers something else than an echo request. */
  readonly answers?: (src: Addr, dst: Addr) => Promise<boolean>
  /** Whether it says that nobody wants a datagram of that size. */
  readonly refuses?: (src: Addr, dst: Addr, sizeBytes: number) => Promise<boolean>
  /** Whether anything comes in from addresses of a prefix within some time. */
  readonly comes?: (sources: Prefix, waitMs: number) => Promise<boolean>
}

export type ChecksDeps = Sources & {
  readonly nowMs: () => number
  /** Called when something was found out. */
  readonly onDone: () => void
  readonly onError: (error: unknown) => void
}

export class Checks implements Disposable {
  readonly #deps: ChecksDeps
  readonly #answers: NonNullable<Sources['answers']>
  readonly #refuses: NonNullable<Sources['refuses']>
  readonly #comes: NonNullable<Sources['comes']>
  readonly #running = new Set<WayState>()
  #isClosed = false

  constructor(deps: ChecksDeps) {
    this.#deps = deps
    this.#answers = deps.answers ?? answersTcp
    this.#refuses = deps.refuses ?? refusesUdp
    this.#comes = deps.comes ?? comesFrom
  }

  /** Begins what is due of a way, one check at a time; `ofNode`: all ways to its node. */
  look(way: WayState, ofNode: readonly WayState[]): void {
    if (this.#isClosed || this.#running.has(way)) return
    const nowMs = this.#deps.nowMs()
    const check = way.isCheckDue(nowMs)
      ? this.#signsOfLife(way, ofNode)
      : way.isTryDue(nowMs)
        ? this.#try(way)
        : way.isSizesTryDue(nowMs)
          ? this.#trySizes(way)
          : undefined
    if (check === undefined) return
    this.#running.add(way)
    void check
      .then(() => {
        if (!this.#isClosed) this.#deps.onDone()
      })
      .catch((error: unknown) => this.#deps.onError(error))
      .finally(() => this.#running.delete(way))
  }

  /** An answer to something else, or, where the whole node is silent, packets of its pods. */
  async #signsOfLife(way: WayState, ofNode: readonly WayState[]): Promise<void> {
    const { podCIDR } = way.target
    const isAlive = await this.#isAnswered(way)
    const isSilent = !alike(way, ofNode).some((each) => each.hasAnsweredSince(way.silentSinceMs))
    const isUnknown = !isAlive && isSilent && !this.#isClosed
    const isComing = isUnknown && podCIDR !== undefined && (await this.#comes(podCIDR, way.signs.listenMs))
    way.signs.noteCheck({ isAlive, isComing }, this.#deps.nowMs())
  }

  async #try(way: WayState): Promise<void> {
    const isAnswered = await this.#isAnswered(way)
    way.noteTry(isAnswered, this.#deps.nowMs())
  }

  async #trySizes(way: WayState): Promise<void> {
    const answered = await this.#sizesOf(way)
    way.others.noteSizes(answered, this.#deps.nowMs())
  }

  async #isAnswered({ target: { src, dst } }: WayState): Promise<boolean> {
    return this.#answers(src, dst)
  }

  async #sizesOf(way: WayState): Promise<{ readonly small: boolean; readonly full: boolean }> {
    const { src, dst } = way.target
    const [smallBytes, fullBytes] = [way.bytesOf('small'), way.bytesOf('full')]
    const full = fullBytes !== undefined && (await this.#refuses(src, dst, fullBytes))
    const isUnknown = !full && !this.#isClosed
    const small = isUnknown && smallBytes !== undefined && (await this.#refuses(src, dst, smallBytes))
    return { full, small: full || small }
  }

  /** The state of a way that was asked a few times at once; who waits for it does not wait for more than some seconds. */
  async stateOfAsked(way: WayState): Promise<ProbeState> {
    const state = stateOfAsked(way)
    if (state === 'broken') return (await this.#isAnswered(way)) ? 'unknown' : state
    if (state === 'small only') return (await this.#sizesOf(way)).full ? 'ok' : state
    if (state !== 'lossy') return state
    return await this.#ofConnections(way)
  }

  /** Of a way that has lost some echo requests. */
  async #ofConnections(way: WayState): Promise<ProbeState> {
    const test = new LossTest()
    const { small, full } = way.sizes
    const share = (small.lost + full.lost) / (small.sent + full.sent)
    while (test.outcome === 'open' && test.tried < mostTries && !this.#isClosed) {
      const answers = Array.from({ length: triesAtOnce }, async () => this.#isAnswered(way))
      for (const isAnswered of await Promise.all(answers)) test.note(isAnswered, share)
    }
    if (test.outcome === 'echoes') return 'ok'
    // not sure either way
    return test.answered === test.tried ? 'unknown' : 'lossy'
  }

  /** What is under way ends by itself, and asks for nothing more. */
  [Symbol.dispose](): void {
    this.#isClosed = true
  }
}
