// Time that no clock setting can move: how long the machine has been up, and an id of this boot.
import { readFileSync } from 'node:fs'
import { viewOf } from '#/lib/bytes.ts'
import { closeFd, int32, libc } from './libc.ts'
import { openSocket } from './socket.ts'

const CLOCK_BOOTTIME = 7
const bootIdPath = '/proc/sys/kernel/random/boot_id'

export type BootClock = {
  /** An id that differs after every boot: kernel state noted under an older id is gone. */
  readonly bootId: string
  /** Milliseconds since boot, including time asleep. Comparable only between readings with the same bootId. */
  readonly sinceBootMs: () => number
  /** The wall clock: for showing to people, never for computing durations. */
  readonly nowMs: () => number
}

function sinceBootMs(): number {
  const time = new Uint8Array(16)
  libc('clock_gettime', [CLOCK_BOOTTIME, time])
  const view = viewOf(time)
  return Number(view.getBigInt64(0, true)) * 1000 + Math.floor(Number(view.getBigInt64(8, true)) / 1e6)
}

const SOCK_DGRAM = 2
const SOL_SOCKET = 1
const SO_NETNS_COOKIE = 71

/** The number of this thread's network namespace, which no other one gets before the next boot; '' before Linux 5.14. */
export function networkCookie(): string {
  const fd = openSocket(4, SOCK_DGRAM, 0, () => {})
  const cookie = new Uint8Array(8)
  try {
    libc('getsockopt', [fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie, int32(cookie.length)], 'SO_NETNS_COOKIE')
    return String(viewOf(cookie).getBigUint64(0, true))
  } catch {
    return ''
  } finally {
    closeFd(fd)
  }
}

/** The machine's own boot clock. Throws the errno of open(2) where /proc is not mounted. */
export function bootClock(): BootClock {
  return { bootId: readFileSync(bootIdPath, 'utf8').trim(), sinceBootMs, nowMs: Date.now }
}
