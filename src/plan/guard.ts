// Decides which of BGP's routes may enter the kernel. A peer can announce anything; its routes must not cut this node off from its
// network or from its pods, and must not send packets to a next hop that this node cannot reach. Pure.
import { type Addr, Prefix } from '#/lib/addr.ts'
import { type LearnedRoute, type NextHop, nextHopSelfRemedy } from '#/model/bgp.ts'
import { isOurLink } from '#/model/names.ts'
import { type ConnectedSubnet, type DesiredHop, type KernelWay } from '#/model/network.ts'

export type GuardContext = {
  readonly ownCIDRs: readonly Prefix[]
  readonly clusterCIDRs: readonly Prefix[]
  readonly connected: readonly ConnectedSubnet[]
  /** How the kernel reaches next hops that are on no connected subnet, or on one to which it has no route, by address. */
  readonly kernelWays: ReadonlyMap<string, KernelWay>
  /** Addresses of other nodes within the cluster CIDRs. Outside of the cluster CIDRs only explicitly allowed routes are admitted. */
  readonly nodeAddrs: Iterable<Addr>
}

/** What next hops are judged by. */
type HopContext = Pick<GuardContext, 'connected' | 'kernelWays'>

/** `reason` completes the sentence "received, not installed, because". */
export type Admission =
  | {
      readonly kind: 'admitted'
      readonly nextHops: readonly DesiredHop[]
      /** The router on the way to the owner of the prefix, if BGP only says that packets go to the owner itself. */
      readonly router?: Addr
    }
  | { readonly kind: 'refused'; readonly reason: string }

const howToAllow = 'an import policy whose rule names the prefix allows it'

function refused(reason: string): Admission {
  return { kind: 'refused', reason }
}

/** Decides on a route whose prefix is no node's pod CIDR. */
export function admitOther(route: LearnedRoute, context: GuardContext): Admission {
  const { prefix, isAllowed } = route
  if (prefix.length === 0 && !isAllowed) return refused(`it is a default route; ${howToAllow}`)
  for (const own of context.ownCIDRs) {
    // an allowed wider prefix takes no packets from this node's pods: the node's own routes are more specific
    if (own.overlaps(prefix) && (!isAllowed || own.contains(prefix)))
      return refused(`it overlaps ${own}, a pod CIDR of this node`)
  }
  const reason = isAllowed ? undefined : whyNotByChance(prefix, context)
  return reason === undefined ? resolve(route, context) : refused(`${reason}; ${howToAllow}`)
}

/**
 * Decides on a route to another node's pod CIDR. It may lie outside of the cluster CIDRs: packets to it leave this node in any case.
 * `owner` has the addresses of that node.
 */
export function admitPodCIDR(route: LearnedRoute, context: HopContext, owner: readonly Addr[] = []): Admission {
  const reason = route.isAllowed ? undefined : whyNotNodeNetwork(route.prefix, context)
  return reason === undefined ? resolve(route, context, owner) : refused(`${reason}; ${howToAllow}`)
}

function whyNotByChance(prefix: Prefix, context: GuardContext): string | undefined {
  const reason = whyNotNodeNetwork(prefix, context)
  if (reason !== undefined) return reason
  if (!context.clusterCIDRs.some((cidr) => cidr.contains(prefix)))
    return `it lies outside of the cluster CIDRs (${context.clusterCIDRs.join(', ')})`
  // the first in order, so that the words do not depend on which node was known first
  let covered: Addr | undefined
  for (const addr of context.nodeAddrs)
    if (prefix.contains(addr) && (covered === undefined || addr.compare(covered) < 0)) covered = addr
  return covered && `it covers ${covered}, the address of a node`
}

function whyNotNodeNetwork(prefix: Prefix, { connected }: Pick<GuardContext, 'connected'>): string | undefined {
  const hit = connected.find((subnet) => subnet.isNodeAddress && subnet.prefix.overlaps(prefix))
  return hit && `it overlaps ${hit.prefix}, the network of the nodes on ${hit.device}`
}

type Hops = { readonly hops: readonly DesiredHop[]; readonly isOwner: boolean }

/**
 * Admits the route with those of its next hops that this node can reach; refuses the route when it can reach none. Routers on the way to a
 * next hop must know the prefix too. One that is a router itself has told us of it, and its operator knows the way there; that a node is
 * reached over routers does not say that they know its pods.
 */
function resolve(route: LearnedRoute, context: HopContext, owner: readonly Addr[] = []): Admission {
  const { prefix, nextHops, isAllowed } = route
  const found = nextHops.map((hop): Hops | string => {
    const hops = resolveHop(prefix, hop, context)
    return typeof hops === 'string' ? hops : { hops, isOwner: owner.some((addr) => addr.equals(hop.addr)) }
  })
  const usable = found.filter((each) => typeof each !== 'string')
  if (usable.length === 0) {
    const reasons = found.filter((each) => typeof each === 'string')
    return refused(reasons.length === 0 ? 'it has no next hop' : reasons.join(' and '))
  }
  const isKnownWay = ({ hops, isOwner }: Hops): boolean =>
    isAllowed || !isOwner || hops.every(({ gateway }) => owner.some((addr) => addr.equals(gateway)))
  const sure = usable.filter(isKnownWay)
  if (sure.length > 0) return { kind: 'admitted', nextHops: distinct(sure) }
  const all = distinct(usable)
  return { kind: 'admitted', nextHops: all, router: all[0]!.gateway }
}

/** Several next hops may be reached over one router. */
function distinct(usable: readonly Hops[]): DesiredHop[] {
  const hops = usable.flatMap((each) => each.hops)
  return hops.length === 1 ? hops : [...new Map(hops.map((hop) => [`${hop.gateway}%${hop.device}`, hop])).values()]
}

function resolveHop(
  prefix: Prefix,
  { addr, device, isPassedOn }: NextHop,
  { connected, kernelWays }: HopContext,
): readonly DesiredHop[] | string {
  if (prefix.family === 6 && addr.family === 4) return `its next hop ${addr} is IPv4, over which IPv6 has no way`
  if (addr.isUnspecified || addr.isMulticast || addr.isLoopback) return `its next hop ${addr} is no neighbour's address`
  if (addr.isLinkLocal) {
    if (device === undefined) return `its next hop ${addr} is link-local, and it is not known on which device`
    return isOurLink(device) ? `its next hop ${addr} is on ${device}, where pods are` : [{ device, gateway: addr }]
  }
  if (connected.some((subnet) => subnet.addr.equals(addr))) return `its next hop ${addr} is this node itself`
  const subnet = subnetOf(addr, connected)
  const asked = kernelWays.get(String(addr))
  if (subnet && !asked) return [{ device: subnet.device, gateway: addr }]
  const way = asked ?? { kind: 'not reached', why: 'the kernel is about to be asked for it' }
  if (way.kind === 'reached') return way.hops
  const remedy = isPassedOn === true ? `; ${nextHopSelfRemedy}` : ''
  return `its next hop ${addr} is not reached: ${way.why}${remedy}`
}

/** The connected subnet that an address is on; undefined: the kernel has to be asked how it reaches the address. */
export function subnetOf(addr: Addr, connected: readonly ConnectedSubnet[]): ConnectedSubnet | undefined {
  return connected.find(({ prefix }) => prefix.contains(addr))
}
