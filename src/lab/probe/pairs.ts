// The pairs of pods that probe each other, and the limits on simultaneous probes.
import { setImmediate } from 'node:timers/promises'
import type { Addr, Family } from '#/lib/addr.ts'
import type { ProbePod } from './types.ts'

/** A probe's source pod, target pod and target address. */
export type Pair = {
  readonly from: ProbePod
  readonly to: ProbePod
  readonly family: Family
  readonly target: Addr
}

/** All ordered pairs of different pods, once for each family that both have, in the order of `pods`. */
export function pairsOf(pods: readonly ProbePod[], families: readonly Family[]): Pair[] {
  const has = (pod: ProbePod, family: Family): boolean => pod.addrs.some((addr) => addr.family === family)
  return pods.flatMap((from) =>
    pods
      .filter((to) => to !== from)
      .flatMap((to) =>
        families.flatMap((family) => {
          const target = to.addrs.find((addr) => addr.family === family)
          return target !== undefined && has(from, family) ? [{ from, to, family, target }] : []
        }),
      ),
  )
}

/** How many tasks start in one turn of the event loop. */
const startsAtOnce = 16

/** Runs `task` for each item, at most `limit` at a time; the results are in the order of the items. */
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
