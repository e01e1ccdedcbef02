// What the ways to one node say together: one that is silent means something else when another one answers. Pure.
import { type PeerWay } from '#/api/schemas/peers.ts'
import { type Addr } from '#/lib/addr.ts'
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

/**
 * The ways to the addresses of its node that a firewall treats as it treats this one: those of the same family, where there are any. One rule may be of
 * one family alone.
 */
export function alike({ target }: WayState, ways: readonly WayState[]): WayState[] {
  const direct = ways.filter((each) => each.target.path === 'node')
  const same = direct.filter((each) => each.target.family === target.family)
  return same.length > 0 ? same : direct
}

/** The ways to one node. `isHeard`: whether packets have come from this end of the tunnel lately, whoever sent them. */
export function judgeNode(
  node: string,
  ways: readonly WayState[],
  nowMs: number,
  isHeard: (tunnelEnd: string) => boolean,
): NodeWays {
  const direct = ways.filter(({ target }) => target.path === 'node')
  const isReached = direct.some((way) => !way.isSilent && way.answeredMs !== undefined)
  const isWide = (addr: Addr): boolean => direct.some((way) => way.target.dst.equals(addr) && way.isWide)
  const judged = ways.map((way) => {
    const isAnswering = alike(way, ways).some((each) => !each.isSilent && each.hasAnsweredSince(way.silentSinceMs))
    return { way, state: stateOf(way, nowMs, { isReached, isAnswering, isWide, isHeard }) }
  })
  return { node, ways: judged, isSilent: ways.some((way) => way.isDead(nowMs)) && ways.every((way) => way.isFailing) }
}

type Surroundings = {
  /** Whether the node answers at one of its addresses. */
  readonly isReached: boolean
  /** Whether it has at one that a firewall would treat alike, since this way is silent. */
  readonly isAnswering: boolean
  /** Whether packets of the full size arrive at this address of the node. */
  readonly isWide: (addr: Addr) => boolean
  readonly isHeard: (tunnelEnd: string) => boolean
}

function stateOf(way: WayState, nowMs: number, { isReached, isAnswering, isWide, isHeard }: Surroundings): ProbeState {
  const { target, answeredMs } = way
  // what the kernel remembers of a path that carries large packets again is told to senders, and over within minutes
  const isRemembered = way.isOfMemory && target.tunnel !== undefined && isWide(target.tunnel.dst)
  const isSure = way.sizes.full.refused !== undefined || way.others.sizes.outcome(nowMs) === 'all'
  const isNarrow = way.isSmallOnly && !isRemembered && isSure
  // a firewall may limit echo requests alone: how many are answered, and how large they are
  const isLossy = way.isLossy && way.others.loss.outcome === 'all'
  if (!way.isSilent) return way.isFresh ? 'unknown' : isNarrow ? 'small only' : isLossy ? 'lossy' : 'ok'
  // a firewall may refuse echo requests alone
  if (way.isInGrace(nowMs) || !way.isDead(nowMs)) return 'unknown'
  // what has never answered may be told not to, by a firewall; a tunnel from which nothing at all comes, though the node is there, is none of these
  const { tunnel } = target
  const comes = way.signs.isComing(nowMs) || (tunnel !== undefined && isHeard(String(tunnel.dst)))
  if (answeredMs === undefined && (tunnel === undefined || !isReached || comes || way.isHeard(nowMs))) return 'unknown'
  // packets of its pods come from the node, which does not answer at its address either: so it answers nobody, or the way is broken in the other
  // direction, which that node tells then
  if (!isAnswering && comes) return 'unknown'
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
