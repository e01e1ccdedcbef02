// Decides which value counts for a setting that a node's own object, the cluster's objects and the agent's environment can all set.
// No other module decides this. Pure.
import { type Routing } from '#/model/routing.ts'

export type RoutingSayings = {
  /** The routing that this node's own Node object sets. */
  readonly node: Routing | undefined
  /** The routing that the cluster's object sets; undefined when it sets none or is not known yet. */
  readonly cluster: Routing | undefined
  readonly isClusterKnown: boolean
  /** The routing that this node last told the others: it counts until the cluster's object is known, so that a start changes nothing. */
  readonly told: Routing | undefined
  /** The routing that the agent's environment sets. */
  readonly agent: Routing
}

/** The node's object counts first, then the cluster's, then the agent's environment. */
export function effectiveRouting({ node, cluster, isClusterKnown, told, agent }: RoutingSayings): Routing {
  return node ?? cluster ?? (isClusterKnown ? agent : (told ?? agent))
}
