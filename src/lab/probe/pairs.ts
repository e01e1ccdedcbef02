// The pairs of pods that probe each other.
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
