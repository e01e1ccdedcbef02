// Whether packets can be sent to where a path leads, as far as the subnets of this node tell (RFC 4271 section 5.1.3): a next hop is
// always a neighbour on a link here, since there is no other routing protocol by which to look it up.
import { type Prefix } from '#/lib/addr.ts'
import { nextHopOf } from './forwarding.ts'
import { type Path } from './path.ts'

/** `subnets` undefined: they are not known, and all next hops count as reachable. */
export function isReachable({ received }: Path, subnets: readonly Prefix[] | undefined): boolean {
  if (received === undefined || subnets === undefined) return true
  // one object stands for the paths of many prefixes
  if (received.reach?.among !== subnets) {
    const { addr } = nextHopOf(received)
    const is = addr.isLinkLocal || subnets.some((subnet) => subnet.contains(addr))
    received.reach = { among: subnets, is }
  }
  return received.reach.is
}

/**
 * Those that can be used, if there are any. Section 9.1.2 has the others out of the decision altogether; but where there are only
 * such, as on a reflector that is in no path, the best of them is still what others are to be told. Routes of last resort
 * (RFC 9494) stay behind all others, whether these can be reached or not.
 */
export function reachableOf(paths: readonly Path[], subnets: readonly Prefix[] | undefined): readonly Path[] {
  if (paths.length === 1 || subnets === undefined) return paths
  // nearly always
  if (paths.every((path) => isReachable(path, subnets))) return paths
  const fresh = paths.filter((path) => !path.isLongLivedStale)
  const candidates = fresh.length === 0 ? paths : fresh
  const reachable = new Set(candidates.filter((path) => isReachable(path, subnets)))
  if (reachable.size === 0) return paths
  return paths.filter((path) => reachable.has(path) || !candidates.includes(path))
}
