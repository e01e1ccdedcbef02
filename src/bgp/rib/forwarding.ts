// From chosen paths to what the kernel's side is told of them.
import { type NextHop } from '#/model/bgp.ts'
import { type Forwarding, type Path, type Received } from './path.ts'

/** RFC 2545 section 3: neighbours on one link use link-local addresses between them. */
export function nextHopOf({ nextHop: { addr, linkLocal }, neighbour }: Received): NextHop {
  const { device, remoteAddr, isInternal, config } = neighbour
  const isPassedOn = isInternal && config.isNode !== true && !addr.equals(remoteAddr)
  if (device === undefined) return { addr, ...(isPassedOn && { isPassedOn }) }
  const isOverLink = remoteAddr.isLinkLocal || addr.isUnspecified
  if (linkLocal !== undefined && isOverLink) return { addr: linkLocal, device }
  return addr.isLinkLocal ? { addr, device } : { addr }
}

function compare(one: NextHop, other: NextHop): number {
  if (!one.addr.equals(other.addr)) return one.addr.compare(other.addr)
  const [a, b] = [one.device ?? '', other.device ?? '']
  return a < b ? -1 : a > b ? 1 : 0
}

function ofOne(path: Path, received: Received): Forwarding {
  const { isAllowed, isStale } = path
  return { nextHops: [nextHopOf(received)], peers: [received.source.peer], isAllowed, isStale }
}

function ofSeveral(paths: readonly Path[]): Forwarding {
  const received = paths.map((path) => path.received).filter((from) => from !== undefined)
  const sorted = received.map(nextHopOf).sort(compare)
  return {
    nextHops: sorted.filter((hop, index) => index === 0 || compare(hop, sorted[index - 1]!) !== 0),
    peers: [...new Set(received.map(({ source }) => source.peer))].sort(),
    isAllowed: paths[0]!.isAllowed,
    isStale: paths.some((path) => path.isStale),
  }
}

/** Of the paths that are used for a prefix; undefined when that is our own. */
export function forwardingOf(paths: readonly Path[]): Forwarding | undefined {
  const first = paths[0]!
  if (first.received === undefined) return undefined
  if (paths.length > 1) return ofSeveral(paths)
  if (first.forwarding?.isStale !== first.isStale) first.forwarding = ofOne(first, first.received)
  return first.forwarding
}

export function sameForwarding(one: Forwarding | undefined, other: Forwarding | undefined): boolean {
  if (one === other) return true
  if (one === undefined || other === undefined) return false
  return (
    one.isStale === other.isStale &&
    one.isAllowed === other.isAllowed &&
    one.nextHops.length === other.nextHops.length &&
    one.nextHops.every((hop, index) => compare(hop, other.nextHops[index]!) === 0) &&
    one.peers.length === other.peers.length &&
    one.peers.every((peer, index) => peer === other.peers[index])
  )
}
