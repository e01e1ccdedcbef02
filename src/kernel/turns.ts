// Long work in turns of the event loop.
import { setImmediate } from 'node:timers/promises'

/** How long work may hold up others at a time. Steps are to be much shorter. */
const turnMs = 4

/** When a turn that begins now is over. */
export function turn(): () => boolean {
  const beginMs = performance.now()
  return () => performance.now() - beginMs >= turnMs
}

/** Takes steps one after the other, beginning with the next turn, and lets others have one whenever they have taken long. */
export async function inTurns<T>(steps: Generator<void, T, void>): Promise<T> {
  await setImmediate()
  for (let isOver = turn(); ;) {
    const { done, value } = steps.next()
    if (done) return value
    if (!isOver()) continue
    await setImmediate()
    isOver = turn()
  }
}
