// The time of what programs tell: they read the clock that only goes forward, and people read that of the wall.

const nanosecondsPerMs = 1e6

/** Now on the wall clock, less now on the clock of events. Waits for the next of the whole milliseconds in which the wall clock is told. */
export function monotonicOffsetMs(): number {
  const startMs = Date.now()
  for (;;) {
    const nowMs = Date.now()
    if (nowMs !== startMs) return nowMs - Number(process.hrtime.bigint()) / nanosecondsPerMs
  }
}

/** A time of programs, in ms since 1970 with parts of a millisecond. */
export function wallClockMs(timeNs: bigint, offsetMs: number): number {
  return offsetMs + Number(timeNs) / nanosecondsPerMs
}
