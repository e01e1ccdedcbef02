// Everything that reaches a peer from outside (bytes, timers, connections, BFD, routes to write) goes through here, so that a fault in
// this program costs that peer's session and no other: an exception that left the event loop's callback would end the whole speaker.
import { type SpeakerClock, type Outlet } from '../contract.ts'
import { type BfdService } from './deps.ts'
import { type RoundRobin } from './round-robin.ts'

export class Containment {
  readonly #onFault: (error: unknown) => void

  /** `onFault` is called with whatever was thrown; what it throws itself is not caught. */
  constructor(onFault: (error: unknown) => void) {
    this.#onFault = onFault
  }

  /** Calls, and reports what is thrown instead of throwing it. */
  run(call: () => void): void {
    try {
      call()
    } catch (error) {
      this.#onFault(error)
    }
  }

  clock(clock: SpeakerClock): SpeakerClock {
    return {
      nowMs: () => clock.nowMs(),
      wallMs: () => clock.wallMs(),
      after: (delayMs, call) => clock.after(delayMs, () => this.run(call)),
    }
  }

  /** A turn that throws has no more to do. */
  turns(turns: Pick<RoundRobin, 'add'>): Pick<RoundRobin, 'add'> {
    return {
      add: (turn) =>
        turns.add({
          run: (untilMs) => {
            let hasMore = false
            this.run(() => (hasMore = turn.run(untilMs)))
            return hasMore
          },
        }),
    }
  }

  bfd(bfd: BfdService): BfdService {
    return {
      rest: (restartMs) => bfd.rest(restartMs),
      watch: (peer, settings, onState) => bfd.watch(peer, settings, (state) => this.run(() => onState(state))),
    }
  }

  /** What the RIB writes to. It works on many peers' routes at once and must not be told of a session's end meanwhile: faults wait. */
  outlet(link: Pick<Outlet, 'write'>, defer: (call: () => void) => void): Outlet {
    let isBroken = false
    const fail = (error: unknown): void => {
      if (!isBroken) defer(() => this.#onFault(error))
      isBroken = true
    }
    return {
      fail,
      write: (bytes) => {
        if (isBroken) return false
        try {
          return link.write(bytes)
        } catch (error) {
          fail(error)
          return false
        }
      },
    }
  }
}
