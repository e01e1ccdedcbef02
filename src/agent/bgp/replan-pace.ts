// When BGP's plan is made anew. Objects change in bursts, which make one plan. With thousands of nodes a plan takes long, and something always
// changes: it gets no more than a part of the agent's time.

const settleMs = 100
const planShare = 0.1
const longestSettleMs = 5_000

export class ReplanPace {
  readonly #plan: () => void
  #timer: NodeJS.Timeout | undefined
  /** How long the last plan took. */
  #planMs = 0
  #isStopped = false

  constructor(deps: { readonly plan: () => void }) {
    this.#plan = deps.plan
  }

  /** Something that the plan depends on may be different. */
  notice(): void {
    if (this.#isStopped || this.#timer !== undefined) return
    const delayMs = Math.min(Math.max(settleMs, this.#planMs / planShare), longestSettleMs)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      const startedMs = performance.now()
      this.#plan()
      this.#planMs = performance.now() - startedMs
    }, delayMs)
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }
}
