// What the ways to one node say together: one that is silent means something else when another one answers. Pure.
import { type PeerWay } from '#/api/schemas/peers.ts'
import { type WayState } from './way-state.ts'

export type ProbeState = PeerWay['state']

/** A way, and how it is in the light of the others to its node. */
export type Judged = { readonly way: WayState; readonly state: ProbeState }

export type NodeWays = {
  readonly node: string
  readonly ways: readonly Judged[]
  /** Whether nothing is answered at all, as far as it is decided. */
  readonly isSilent: boolean
}

/** The ways to one node. `isHeard`: whether packets have come from this end of the tunnel lately, whoever sent them. */
export function judgeNode(
  node: string,
  ways: readonly WayState[],
  nowMs: number,
  isHeard: (tunnelEnd: string) => boolean,
): NodeWays {
  const isReached = ways.some((way) => way.target.path === 'node' && !way.isSilent && way.answeredMs !== undefined)
  const judged = ways.map((way) => ({ way, state: stateOf(way, nowMs, isReached, isHeard) }))
  return { node, ways: judged, isSilent: ways.some((way) => way.isSilent) && ways.every((way) => way.isFailing) }
}

function stateOf(
  way: WayState,
  nowMs: number,
  isReached: boolean,
  isHeard: (tunnelEnd: string) => boolean,
): ProbeState {
  const { target, answeredMs } = way
  if (!way.isSilent) return way.isFresh ? 'unknown' : way.isSmallOnly ? 'small only' : way.isLossy ? 'lossy' : 'ok'
  if (way.isInGrace(nowMs)) return 'unknown'
  // what has never answered may be told not to, by a firewall; a tunnel from which nothing at all comes, though the node is there, is none of these
  const isTunnel = target.tunnelEnd !== undefined
  const comes = way.isHeard(nowMs) || (isTunnel && isHeard(String(target.tunnelEnd)))
  if (answeredMs === undefined && (!isTunnel || !isReached || comes)) return 'unknown'
  return way.isHeard(nowMs) ? 'one way' : 'broken'
}

/** The state of a way that was asked a few times at once. */
export function stateOfAsked({ sizes: { small, full } }: WayState): ProbeState {
  if (small.sent === 0) return 'unknown'
  if (small.answered === 0) return 'broken'
  if (small.answered < small.sent) return 'lossy'
  if (full.sent === 0 || full.answered === full.sent) return 'ok'
  return full.answered === 0 ? 'small only' : 'lossy'
}
