// Waits for many non-blocking sockets at once without ever stopping the event loop: poll(2) with no timeout, again and again.
// Node has no watcher for a descriptor that it did not open itself, and the echo servers may live in this same process.
// Nothing measures time by it: round trips are the kernel's own numbers.
import { setImmediate, setTimeout } from 'node:timers/promises'
import { type Interest, pollNow } from '#/sys/socket.ts'

/** Between two looks at sockets of which none was ready. */
const idleMs = 1
/** In one turn of the event loop: each makes work for its owner, which the rest of the process should not have to wait for. */
const settledAtOnce = 32

type Waiter = Interest & PromiseWithResolvers<boolean> & { readonly deadlineMs: number }

export class Readiness {
  readonly #waiters = new Set<Waiter>()
  #turning = false

  /**
   * Resolves with true when the socket is ready for one of `events` (POLLIN, POLLOUT) or has failed, and with false when
   * performance.now() has passed `deadlineMs` before that. The descriptor must stay open until then.
   */
  async until(fd: number, events: number, deadlineMs: number): Promise<boolean> {
    const waiter = { fd, events, deadlineMs, ...Promise.withResolvers<boolean>() }
    this.#waiters.add(waiter)
    if (!this.#turning) void this.#turn()
    return waiter.promise
  }

  async #turn(): Promise<void> {
    this.#turning = true
    try {
      while (this.#waiters.size > 0) await (this.#look() ? setImmediate() : setTimeout(idleMs))
    } catch (error) {
      for (const waiter of this.#waiters) waiter.reject(error)
      this.#waiters.clear()
    } finally {
      this.#turning = false
    }
  }

  /** Settles some of those who are ready or late, the oldest first; says whether there were any. */
  #look(): boolean {
    const waiters = [...this.#waiters]
    const ready = new Set(pollNow(waiters))
    const nowMs = performance.now()
    const due = waiters.filter((waiter) => ready.has(waiter) || waiter.deadlineMs <= nowMs).slice(0, settledAtOnce)
    for (const waiter of due) {
      this.#waiters.delete(waiter)
      waiter.resolve(ready.has(waiter))
    }
    return due.length > 0
  }
}
