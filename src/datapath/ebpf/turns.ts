// Long work in turns of the event loop: how long one entry takes depends on what it says, so a turn ends by the clock.
import { setImmediate as immediate } from 'node:timers/promises'

/** Less than anybody waits for: an ADD, a packet of BFD. */
const turnMs = 3

export class Turns {
  #endsMs = performance.now() + turnMs

  /** Whether it is time for `next`. */
  get isOver(): boolean {
    return performance.now() >= this.#endsMs
  }

  /** Lets others have their turn. */
  async next(): Promise<void> {
    await immediate()
    this.#endsMs = performance.now() + turnMs
  }
}
