// Runs an asynchronous task for many items, a bounded number at a time.
import { setImmediate } from 'node:timers/promises'

/** How many tasks start in one turn of the event loop. */
const startsAtOnce = 16

/** Runs `task` for each item, at most `limit` at a time; the results are in the order of the items. Rejects when a task does. */
export async function eachOf<T, R>(items: readonly T[], limit: number, task: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  const queue = items.entries()
  const work = async (_: unknown, worker: number): Promise<void> => {
    for (let turns = Math.floor(worker / startsAtOnce); turns > 0; turns--) await setImmediate()
    for (const [index, item] of queue) results[index] = await task(item)
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, work))
  return results
}
