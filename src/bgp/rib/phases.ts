// Long work in short portions: whatever bursts there are, the event loop gets to sockets and timers in between.

/** Works until told to stop, but does something in any case. Returns whether there is more to do. */
export type Phase = (isOver: () => boolean) => boolean

/** How long one phase may take of a turn. A portion that has begun is finished, so that turns are somewhat longer than their phases. */
const phaseMs = 3

export class PhaseLoop {
  readonly #phases: readonly Phase[]
  readonly #defer: (work: () => void) => void
  readonly #nowMs: () => number
  #isComing = false

  /** All phases get their time in each turn, in this order. */
  constructor(phases: readonly Phase[], deps: { defer: (work: () => void) => void; nowMs: () => number }) {
    this.#phases = phases
    this.#defer = deps.defer
    this.#nowMs = deps.nowMs
  }

  /** There is something to do. */
  request(): void {
    if (this.#isComing) return
    this.#isComing = true
    this.#defer(() => this.#turn())
  }

  #turn(): void {
    this.#isComing = false
    let hasMore = false
    for (const phase of this.#phases) {
      const untilMs = this.#nowMs() + phaseMs
      if (phase(() => this.#nowMs() >= untilMs)) hasMore = true
    }
    if (hasMore) this.request()
  }
}

/** Yields where it can be interrupted: after less than a tenth of a millisecond's work. */
export type Job = Generator<void, void, void>

/** How many steps of a job before the next one's turn, so that a small one does not wait for a large one. */
const stepsInARow = 16

export class Jobs {
  readonly #queue: Job[] = []

  add(job: Job): void {
    this.#queue.push(job)
  }

  readonly work: Phase = (isOver) => {
    // at least one of them gets on in each turn
    for (let job = this.#queue.shift(); job !== undefined; job = this.#queue.shift()) {
      let steps = 0
      while (steps < stepsInARow && job.next().done !== true) steps++
      if (steps === stepsInARow) this.#queue.push(job)
      if (isOver()) break
    }
    return this.#queue.length > 0
  }
}
