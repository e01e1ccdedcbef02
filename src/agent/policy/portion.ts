// How much of what comes at once is written in one transaction: as much as takes some milliseconds, judged by the transactions before. The event
// loop stands still for each, and each has a price of its own.

const aimMs = 8
/** A policy counts 1: it may change the rules of many pods. What only changes who is in sets counts so much. */
const memberWeight = 1 / 20
const first = 10
/** The kernel looks through all chains once for each transaction that adds some: smaller portions would only be more of these. */
const least = 10
const greatest = 100

export class Portion {
  #weight = 0
  #most = first

  add(ofPolicy: boolean): void {
    this.#weight += ofPolicy ? 1 : memberWeight
  }

  get isFull(): boolean {
    return this.#weight >= this.#most
  }

  /** What was gathered has been written, in this time. */
  written(durationMs: number): void {
    // of a small portion most is the price of a transaction
    if (this.#weight >= this.#most / 2) {
      const fitting = (this.#weight * aimMs) / Math.max(durationMs, 1)
      // half of the way: in a single time there may be a pause for collecting memory
      this.#most = Math.min(greatest, Math.max(least, (this.#most + fitting) / 2))
    }
    this.#weight = 0
  }
}
