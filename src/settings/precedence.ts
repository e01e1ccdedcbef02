// Whose word counts, where a node's own object, the cluster's objects and the agent's environment each may set something. For every
// setting that has several places this is the only one that decides. Pure.
import { type Routing } from '#/model/routing.ts'

export type RoutingSayings = {
  /** This node's own Node object. */
  readonly node: Routing | undefined
  /** The cluster's object; undefined: it says nothing, or is not known yet. */
  readonly cluster: Routing | undefined
  readonly isClusterKnown: boolean
  /** What this node told the others last: it holds until all is known that decides, so that a start changes nothing. */
  readonly told: Routing | undefined
  /** The agent's own setting. */
  readonly agent: Routing
}

/** Node before cluster before agent. */
export function effectiveRouting({ node, cluster, isClusterKnown, told, agent }: RoutingSayings): Routing {
  return node ?? cluster ?? (isClusterKnown ? agent : (told ?? agent))
}
