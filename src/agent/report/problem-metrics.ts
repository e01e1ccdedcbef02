// The metrics of problems: how many there are of each code, and since when each of them is there.
import { type Registry, type Sample } from '#/lib/metrics.ts'
import { type ReadinessState } from '#/model/readiness.ts'
import { concernOf, type Problem, problemId } from '#/model/problems.ts'

/** So many problems have samples of their own: on a bad day a node may have as many as the cluster has nodes. */
const mostProblems = 50

/** Remembers when each problem came. */
export class ProblemTimes {
  readonly #now: () => number
  #sinceMs = new Map<string, number>()

  /** `now` is the wall clock, in ms since 1970. */
  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  /** `problems` are all of now, each once. A problem that was gone is a new one when it comes back. */
  notice(problems: readonly Problem[]): void {
    const nowMs = this.#now()
    this.#sinceMs = new Map(problems.map(problemId).map((id) => [id, this.#sinceMs.get(id) ?? nowMs]))
  }

  sinceMs(problem: Problem): number | undefined {
    return this.#sinceMs.get(problemId(problem))
  }
}

export type ProblemMetricSources = {
  /** All problems of now, each once. */
  readonly problems: () => readonly Problem[]
  /** Those of them that make the node not ready for pods. */
  readonly reasons: () => readonly Problem[]
  readonly times: ProblemTimes
}

function sinceSamples(
  problems: readonly Problem[],
  { reasons, times }: Pick<ProblemMetricSources, 'reasons' | 'times'>,
): Sample[] {
  const unready = new Set(reasons().map(problemId))
  // the worst first: what has no sample is to be the least
  const sortKey = (each: Problem): string => `${unready.has(problemId(each)) ? 0 : 1} ${problemId(each)}`
  return problems
    .toSorted((one, other) => (sortKey(one) < sortKey(other) ? -1 : 1))
    .slice(0, mostProblems)
    .flatMap((each): Sample[] => {
      const sinceMs = times.sinceMs(each)
      if (sinceMs === undefined) return []
      const { code, object } = each
      const readiness: ReadinessState = unready.has(problemId(each)) ? 'not ready' : 'ready with problems'
      return [{ labels: { code, object, about: concernOf(each), readiness }, value: sinceMs / 1000 }]
    })
}

export function registerProblemMetrics(registry: Registry, sources: ProblemMetricSources): void {
  const { problems, times } = sources
  registry.gauge(
    'causeway_problems',
    'Problems that "causeway status" tells, by code (docs/problems.md). A code without a problem is absent.',
    () =>
      [...Map.groupBy(problems(), ({ code }) => code)].map(([code, same]) => ({
        labels: { code },
        value: same.length,
      })),
  )
  registry.gauge(
    'causeway_problem_since_timestamp_seconds',
    `Since when the agent tells a problem, by code, object, what it is about (of "node" and "cluster object" many nodes may tell the same), and what it makes of the node's readiness (not ready, ready with problems). At most ${mostProblems}; causeway_problems counts all. A problem that is gone is absent.`,
    () => {
      const all = problems()
      times.notice(all)
      return sinceSamples(all, sources)
    },
  )
}
