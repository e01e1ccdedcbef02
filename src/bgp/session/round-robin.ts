// Work in turns: each of many peers goes on for a little while, then the next one, and between rounds sockets and timers have theirs.
// So a peer that sends as fast as it can delays nobody's keepalive.

export interface Turn {
  /** Works until about `untilMs` at most. True: there is more to do. */
  run(untilMs: number): boolean
}

export class RoundRobin {
  readonly #roundMs: number
  readonly #deps: { readonly defer: (call: () => void) => void; readonly nowMs: () => number }
  /** In order of arrival: sets iterate so. */
  readonly #waiting = new Set<Turn>()
  #isDue = false

  /** `roundMs`: how long all of them together may hold up the event loop at a time. */
  constructor(
    options: { readonly roundMs: number },
    deps: { readonly defer: (call: () => void) => void; readonly nowMs: () => number },
  ) {
    this.#roundMs = options.roundMs
    this.#deps = deps
  }

  add(turn: Turn): void {
    this.#waiting.add(turn)
    this.#arrange()
  }

  #arrange(): void {
    if (this.#isDue || this.#waiting.size === 0) return
    this.#isDue = true
    this.#deps.defer(() => this.#round())
  }

  #round(): void {
    this.#isDue = false
    const untilMs = this.#deps.nowMs() + this.#roundMs
    // those who have more to do wait for the next round: in this one nobody has a second turn
    let left = this.#waiting.size
    for (const turn of this.#waiting) {
      if (left-- === 0) break
      this.#waiting.delete(turn)
      try {
        if (turn.run(untilMs)) this.#waiting.add(turn)
      } finally {
        this.#arrange()
      }
      if (this.#deps.nowMs() >= untilMs) break
    }
  }
}
