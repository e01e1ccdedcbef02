// What the parts of a term need, the time in which this controller leads: giving pod CIDRs, and writing statuses.
import type { ApiClient } from '#/cluster/client.ts'
import type { Clock } from '#/cluster/clock.ts'
import type { Reflector } from '#/cluster/reflector.ts'
import type { Logger } from '#/lib/log.ts'
import { type KubeNode } from '#/model/kubernetes.ts'
import { type Recorder } from './problem-reports.ts'

export type TermDeps = {
  readonly client: ApiClient
  readonly log: Logger
  readonly recorder: Recorder
  readonly clock: Clock
  readonly random: () => number
  /** Whether this controller leads; checked before every write. */
  readonly isLeader: () => boolean
  /** Aborts when the term is over. */
  readonly signal: AbortSignal
  /** All Node objects, listed after the lease was ours; whoever made it starts and ends it. */
  readonly nodes: Reflector<KubeNode>
}

/** How long a write may take: shorter than the 5 s between this controller giving up the lease and another taking it. */
export const writeTimeoutMs = 4_000
