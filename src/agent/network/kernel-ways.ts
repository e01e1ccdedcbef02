// Reads how packets leave for other nodes: the routes of others in the main table. Those of our own never count, so that what the agent makes
// does not change what it finds.
import { type DeviceAddress } from '#/kernel/addresses.ts'
import { type Link } from '#/kernel/links.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { visitRoutesInTurns } from '#/kernel/routes.ts'
import { type Addr } from '#/lib/addr.ts'
import { isOurLink, routeProtocol } from '#/model/names.ts'
import { type NodeWay } from '#/model/network.ts'
import { essentialWays } from '#/plan/node-ways.ts'
import { isRouteOf, RT_SCOPE_LINK, RT_TABLE_MAIN, type Route } from '#/wire/netlink/route.ts'

export type WaySurroundings = {
  readonly links: ReadonlyMap<number, Link>
  readonly addresses: readonly DeviceAddress[]
  /** The node's addresses from its Node object. */
  readonly nodeAddrs: readonly Addr[]
}

/** Whether packets leave the machine by the device; a dummy device drops them. */
export function carriesPackets({ name, kind, isUp }: Link): boolean {
  return isUp && name !== 'lo' && kind !== 'dummy' && !isOurLink(name)
}

/** The ways by which packets of the node leave, as far as they differ. Throws KernelError when the routes cannot be read. */
export async function readNodeWays(netlink: Netlink, surroundings: WaySurroundings): Promise<NodeWay[]> {
  const found: { readonly way: NodeWay; readonly metric: number }[] = []
  await visitRoutesInTurns(
    netlink,
    (route) => {
      const way = route.table === RT_TABLE_MAIN ? wayOf(route, surroundings) : undefined
      if (way) found.push({ way, metric: route.metric })
    },
    (payload) => isRouteOf(payload, routeProtocol, RT_TABLE_MAIN),
  )
  return essentialWays(found.toSorted((a, b) => a.metric - b.metric).map(({ way }) => way))
}

function wayOf(route: Route, surroundings: WaySurroundings): NodeWay | undefined {
  const { dst, type, nextHops, scope, mtuBytes = Infinity } = route
  if (type !== 'unicast' || (dst.addr.isLinkLocal && dst.length > 0)) return undefined
  const hops = nextHops.flatMap(({ oif = 0, gateway }) => {
    const link = surroundings.links.get(oif)
    return link && carriesPackets(link) ? [{ link, gateway }] : []
  })
  const [first] = hops
  if (first === undefined) return undefined
  const isLink = hops.length === 1 && first.gateway === undefined
  return {
    prefix: dst,
    device: first.link.name,
    mtuBytes: Math.min(mtuBytes, ...hops.map(({ link }) => link.mtuBytes)),
    kind: isLink ? 'link' : 'router',
    isFromNode: isFromNode(route, first.link, surroundings),
    // what fib_check_nh_v4_gw of net/ipv4/fib_semantics.c wants of the route to a gateway; IPv6 has no scopes
    ...(isLink && dst.family === 4 && scope < RT_SCOPE_LINK && { needsOnlink: true }),
  }
}

/** Without an address of the device's own the kernel takes one of another device, of which lo is the first. */
function isFromNode({ dst, preferredSource }: Route, link: Link, { addresses, nodeAddrs }: WaySurroundings): boolean {
  const isOfNode = (addr: Addr): boolean => nodeAddrs.some((each) => each.equals(addr))
  if (preferredSource) return isOfNode(preferredSource)
  const own = addresses.filter(({ index, addr }) => {
    return index === link.index && addr.family === dst.family && !addr.isLinkLocal
  })
  return own.length === 0 || own.some(({ addr }) => isOfNode(addr))
}
