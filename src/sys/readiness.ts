// Waits once for one descriptor, up to a deadline.
import { viewOf } from '#/lib/bytes.ts'
import { watchFd } from './fd-watcher.ts'
import { libc, SysError } from './libc.ts'

/** Most waits ended in one turn of the event loop: each makes work for its owner, and the rest of the process should not wait for it. */
const settledAtOnce = 32

/** Waits whose deadline is over. Many begin at the same time, and would otherwise all end in the same turn. */
const late: (() => void)[] = []

function settleLate(): void {
  for (const settle of late.splice(0, settledAtOnce)) settle()
  if (late.length > 0) setImmediate(settleLate)
}

/** Asks the kernel at this moment (poll(2), struct pollfd: fd, events, what is so). */
function isReadyNow(fd: number, events: number): boolean {
  const asked = new Uint8Array(8)
  const view = viewOf(asked)
  view.setInt32(0, fd, true)
  view.setInt16(4, events, true)
  return libc('poll', [asked, 1, 0]) > 0
}

/**
 * Resolves with true when the descriptor is ready for one of `events` (POLLIN, POLLOUT) or has failed, and with false when
 * performance.now() has passed `deadlineMs` before that. The descriptor must stay open until then.
 */
export async function untilReady(fd: number, events: number, deadlineMs: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const settle = (isReady: boolean): void => {
    watch[Symbol.dispose]()
    clearTimeout(timer)
    resolve(isReady)
  }
  let watch: Disposable
  try {
    watch = watchFd(fd, events, () => settle(true))
  } catch (error) {
    // a closed descriptor counts as ready: the next call on it reports the error
    if (error instanceof SysError && error.code === 'EBADF') return true
    throw error
  }
  const waitMs = Math.max(0, Math.ceil(deadlineMs - performance.now()))
  const timer = setTimeout(() => {
    // what came in time counts also where this process was kept from noticing it
    if (late.push(() => settle(isReadyNow(fd, events))) === 1) setImmediate(settleLate)
  }, waitMs)
  return promise
}
