// What the network keeper needs of BGP.
import { type SessionGuard } from '#/plan/session-guards.ts'
import { type LearnedRouteChange } from '#/model/bgp.ts'

export interface LearnedRoutes {
  /** Returns the last change of each prefix since the last call; the first call returns every route. */
  takeChanges(): readonly LearnedRouteChange[]
  /** Whether every neighbour has sent all its routes, or was given up: until then no route that BGP may have made is swept. */
  readonly isReady: boolean
}

/** What BGP does on this node. */
export type BgpFacts = {
  /** Whether neighbours are told of this node's pod CIDRs. */
  readonly isAdvertising: boolean
  /** Whether any neighbour is there. */
  readonly hasSession: boolean
  /** Neighbours with TTL security. */
  readonly sessionGuards: readonly SessionGuard[]
}

export const noBgp: BgpFacts = { isAdvertising: false, hasSession: false, sessionGuards: [] }

/** The source of routes of a node without BGP: there are none. */
export const nothingLearned: LearnedRoutes = { takeChanges: () => [], isReady: true }
