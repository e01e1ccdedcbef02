// What the network keeper needs of BGP.
import { type LearnedRouteChange } from '#/model/bgp.ts'

export interface LearnedRoutes {
  /** The last change of each prefix since the last call; from the first call on that is every route there is. */
  takeChanges(): readonly LearnedRouteChange[]
  /** Whether every neighbour has told all it has, or was given up: before that no route is swept that BGP may have made. */
  readonly isReady: boolean
}

/** The source of routes of a node without BGP: there are none. */
export const nothingLearned: LearnedRoutes = { takeChanges: () => [], isReady: true }
