// Waiting for what other processes bring about.
import { setTimeout as sleep } from 'node:timers/promises'
import { LabError } from './spec.ts'

const pollMs = 50

export type Wait = {
  readonly what: string
  readonly timeoutMs: number
  /** The known reason why the result is missing, appended to the message. */
  readonly why: () => string
  /** Ends the wait by throwing its reason. */
  readonly stop: AbortSignal
}

/** Polls until `probe` returns a value; throws LabError that says what was waited for, and why it is missing. */
export async function waitFor<T>(
  { what, timeoutMs, why, stop }: Wait,
  probe: () => Promise<T | undefined>,
): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs
  for (;;) {
    stop.throwIfAborted()
    const found = await probe()
    if (found !== undefined) return found
    if (performance.now() > deadlineMs) throw new LabError(`${what}: not there after ${timeoutMs / 1000} s${why()}`)
    await sleep(pollMs)
  }
}
