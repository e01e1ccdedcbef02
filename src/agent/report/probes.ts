// Answers probes: /healthz says whether this process still does its work, /readyz whether its node is ready (readiness.ts).
import { type Answer, type Handlers } from './http-api.ts'
import { type Readiness } from '#/model/readiness.ts'
import { unreadiness } from './readiness.ts'

/** A pass that takes longer counts as hung: even 10,000 new nodes at once take about a second. */
const longestPassMs = 120_000

export type ProbeSources = {
  readonly readiness: () => Readiness
  /** How long the current pass has been running; 0 when none runs. */
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
