// Waiting for what other processes bring about.
import { setTimeout as sleep } from 'node:timers/promises'
import { LabError } from './spec.ts'

const pollMs = 50

export type Wait = {
  readonly what: string
  readonly timeoutMs: number
  /** What is known of why it is not there, to be put after the message. */
  readonly why: () => string
  /** Ends the wait, throwing its reason. */
  readonly stop: AbortSignal
}

/** Polls until `probe` gives something; throws LabError saying what was waited for, and why it is not there. */
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
