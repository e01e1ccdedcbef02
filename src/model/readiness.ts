// Whether a node is ready for pods, as a value. src/agent/report/readiness.ts decides it.
import { type Problem } from './problems.ts'

/**
 * `not ready`: a new pod gets no network, or pods of this node may not have the network they were promised. `ready with problems`:
 * pods can run here, but an operator should look at the problems.
 */
export type ReadinessState = 'not ready' | 'ready with problems' | 'ready'

export type Readiness = {
  readonly state: ReadinessState
  /** Why the node is not ready; empty when it is. */
  readonly reasons: readonly Problem[]
  /** Why an ADD is refused now, and what to do; undefined when ADD is served. `reasons` contains it too. */
  readonly refusal: AddRefusal | undefined
  /** One line for each kernel object in error, except single pods' own objects: because of these, pods may not reach all others. */
  readonly failures: readonly string[]
}

export type AddRefusal = { readonly msg: string; readonly details: string }

/**
 * The Node condition and STATUS of CNI, by which nodes are emptied, tell trouble only when it has lasted so long: a pass that fails and
 * succeeds half a second later is no news.
 */
export const lastingTroubleMs = 10_000
