/** How long ago a moment was (ms since 1970), in the largest unit that still says something. */
export function ageSince(sinceMs: number): string {
  return shortTime(Date.now() - sinceMs)
}

/** As ageSince, at a given moment. */
export function ageAt(sinceMs: number, nowMs: number): string {
  return shortTime(nowMs - sinceMs)
}

/** How long it is until a moment (ms since 1970); 0s when it is past. */
export function timeUntil(untilMs: number): string {
  return shortTime(untilMs - Date.now())
}

function shortTime(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  return seconds < 120
    ? `${seconds}s`
    : seconds < 7200
      ? `${Math.round(seconds / 60)}m`
      : `${Math.round(seconds / 3600)}h`
}
