// Time that no clock setting can move: since when the machine runs, and which of its runs this is.
import { readFileSync } from 'node:fs'
import { viewOf } from '#/lib/bytes.ts'
import { libc } from './libc.ts'

const CLOCK_BOOTTIME = 7
const bootIdPath = '/proc/sys/kernel/random/boot_id'

export type BootClock = {
  /** Another one after every boot: what was noted with an older one was lost with that kernel. */
  readonly bootId: string
  /** Milliseconds since boot, time asleep included. Comparable only among those of one bootId. */
  readonly sinceBootMs: () => number
  /** The wall clock: to be shown to people, never to be reckoned with. */
  readonly nowMs: () => number
}

function sinceBootMs(): number {
  const time = new Uint8Array(16)
  libc('clock_gettime', [CLOCK_BOOTTIME, time])
  const view = viewOf(time)
  return Number(view.getBigInt64(0, true)) * 1000 + Math.floor(Number(view.getBigInt64(8, true)) / 1e6)
}

/** The machine's own. Throws the errno of open(2) where /proc is not mounted. */
export function bootClock(): BootClock {
  return { bootId: readFileSync(bootIdPath, 'utf8').trim(), sinceBootMs, nowMs: Date.now }
}
