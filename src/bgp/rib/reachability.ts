// Whether packets can be sent to where a path leads, as far as the routes of this node's kernel tell (RFC 4271 section 5.1.3).
import { type Reach } from '#/model/bgp.ts'
import { nextHopOf } from './forwarding.ts'
import { type Path } from './path.ts'

/** `reach` undefined: it is not known, and all next hops count as reachable. */
export function isReachable({ received }: Path, reach: Reach | undefined): boolean {
  if (received === undefined || reach === undefined) return true
  // one object stands for the paths of many prefixes
  if (received.reach?.by !== reach) {
    const { addr } = nextHopOf(received)
    const isRouted = received.neighbour.config.isNode !== true
    const is =
      addr.isLinkLocal || [...reach.links, ...(isRouted ? reach.routed : [])].some((each) => each.contains(addr))
    received.reach = { by: reach, is }
  }
  return received.reach.is
}

/**
 * Those that can be used, if there are any. Section 9.1.2 has the others out of the decision altogether; but where there are only
 * such, as on a reflector that is in no path, the best of them is still what others are to be told. Routes of last resort
 * (RFC 9494) stay behind all others, whether these can be reached or not.
 */
export function reachableOf(paths: readonly Path[], reach: Reach | undefined): readonly Path[] {
  if (paths.length === 1 || reach === undefined) return paths
  // nearly always
  if (paths.every((path) => isReachable(path, reach))) return paths
  const fresh = paths.filter((path) => !path.isLongLivedStale)
  const candidates = fresh.length === 0 ? paths : fresh
  const reachable = new Set(candidates.filter((path) => isReachable(path, reach)))
  if (reachable.size === 0) return paths
  return paths.filter((path) => reachable.has(path) || !candidates.includes(path))
}
