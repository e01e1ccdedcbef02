// Waiting for what a router has no event for: asked again and again, and what was seen last is told when it never comes.
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'

const pollMs = 50
/** Only failures take so long; machines may be slow. */
const defaultTimeoutMs = 90_000

/** The first value of `look` for which `isIt` holds; errors of `look` count as not yet. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T> | T,
  isIt: (value: T) => boolean,
  options: { readonly timeoutMs?: number; readonly explain?: () => string } = {},
): Promise<T> {
  const { timeoutMs = defaultTimeoutMs, explain = () => '' } = options
  const deadlineMs = performance.now() + timeoutMs
  let last: unknown
  for (;;) {
    const isLast = performance.now() > deadlineMs
    try {
      const value = await look()
      if (isIt(value)) return value
      last = value
    } catch (error) {
      last = error
    }
    if (isLast) break
    await sleep(pollMs)
  }
  return assert.fail(
    `${what}: not within ${timeoutMs / 1000} s; last seen: ${inspect(last, { depth: 5, breakLength: 120 })}\n${explain()}`,
  )
}
