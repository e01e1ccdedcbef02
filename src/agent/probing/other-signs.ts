// Signs of life on a way other than answers to its probes. Pure.

/** For so many times of its own pace a probe of the other node says that packets come from there: all agents have one pace. */
const heardTimes = 3.5
/** So often another sign of life is looked for, and for how long one counts. */
const checkEveryMs = 5_000
const listenTimes = 1.2
const aliveMs = 12_000

/** What was found of a way on which echo requests have no answer. */
export type SignsOfLife = {
  /** Something else was answered. */
  readonly isAlive: boolean
  /** Packets of the other node's pods came in. */
  readonly isComing?: boolean
}

export class OtherSigns {
  readonly #everyMs: number
  #heardMs = -Infinity
  #checkedMs = -Infinity
  #aliveMs = -Infinity
  #comingMs = -Infinity

  /** `everyMs`: how often this node sends a small probe, and the other one too. */
  constructor(everyMs: number) {
    this.#everyMs = everyMs
  }

  /** Takes in what was found since nothing is answered. */
  noteCheck({ isAlive, isComing = false }: SignsOfLife, nowMs: number): void {
    this.#checkedMs = nowMs
    if (isAlive) this.#aliveMs = nowMs
    if (isComing) this.#comingMs = nowMs
  }

  /** Takes note that a probe of the other node arrived. */
  hear(nowMs: number): void {
    this.#heardMs = nowMs
  }

  /** So long a probe of the other node is waited for: all agents have one pace. */
  get listenMs(): number {
    return listenTimes * this.#everyMs
  }

  /** Whether the last look is so long ago that another one is due. */
  isCheckDue(nowMs: number): boolean {
    return nowMs - this.#checkedMs >= checkEveryMs
  }

  /** Whether packets of the other node's pods, or of their gateway, come in all the same. */
  isComing(nowMs: number): boolean {
    return nowMs - this.#comingMs <= aliveMs + 2 * this.listenMs
  }

  /** Whether it was looked for others after that time, and none is so new that it counts. */
  isDeadSince(ms: number, nowMs: number): boolean {
    return this.#checkedMs > ms && nowMs - this.#aliveMs > aliveMs
  }

  /** Whether probes of the other node have arrived lately, and after that time. */
  isHeardSince(ms: number, nowMs: number): boolean {
    return this.#heardMs > ms && nowMs - this.#heardMs < heardTimes * this.#everyMs
  }
}
