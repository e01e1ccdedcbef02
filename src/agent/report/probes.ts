// What probes ask: whether this process still does its work, and whether its node is ready (readiness.ts).
import { type Answer, type Handlers } from './http-api.ts'
import { type Readiness, unreadiness } from './readiness.ts'

/** What takes longer hangs: 10,000 nodes at once are a second's work. */
const longestPassMs = 120_000

export type ProbeSources = {
  readonly readiness: () => Readiness
  /** For how long the pass that runs has been running; 0 when none does. */
  readonly passRunningMs: () => number
}

export function probeHandlers({ readiness, passRunningMs }: ProbeSources): Handlers {
  const answer = (why: string | undefined): Answer<string> =>
    why === undefined ? { status: 200, body: 'ok\n' } : { status: 503, body: `${why}\n` }
  return {
    healthz: () => {
      const stuckMs = passRunningMs()
      return answer(stuckMs < longestPassMs ? undefined : `a pass has been running for ${Math.round(stuckMs / 1000)} s`)
    },
    readyz: () => answer(unreadiness(readiness())),
  }
}
