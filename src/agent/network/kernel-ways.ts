// Reads how packets leave for other nodes: the routes of others in the main table, and in tables to which rules lead packets of the node. Those
// of our own never count, so that what the agent makes does not change what it finds.
import { type DeviceAddress, listAddresses } from '#/kernel/addresses.ts'
import { type Link, listLinks } from '#/kernel/links.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { visitRoutesInTurns } from '#/kernel/routes.ts'
import { listRules } from '#/kernel/route-lookup.ts'
import { type Addr, families, type Family, type Prefix } from '#/lib/addr.ts'
import { isOurLink, routeProtocol } from '#/model/names.ts'
import { type NodeWay } from '#/model/network.ts'
import { essentialWays } from '#/plan/node-ways.ts'
import { isRouteOf, RT_SCOPE_LINK, RT_TABLE_LOCAL, RT_TABLE_MAIN, type Route } from '#/wire/netlink/route.ts'
import { type Rule } from '#/wire/netlink/rule.ts'

type Surroundings = {
  readonly links: ReadonlyMap<number, Link>
  readonly addresses: readonly DeviceAddress[]
  /** The node's addresses from its Node object. */
  readonly nodeAddrs: readonly Addr[]
}

/** Whether packets leave the machine by the device while it is up; a dummy device drops them. */
export function carriesPackets({ name, kind }: Link): boolean {
  return name !== 'lo' && kind !== 'dummy' && !isOurLink(name)
}

/**
 * The ways by which packets of the node leave, as far as they differ. Of routes to single addresses only those that `mayHoldNodes` count: other
 * programs have one for each container. Throws KernelError when the routes cannot be read.
 */
export async function readNodeWays(
  netlink: Netlink,
  nodeAddrs: readonly Addr[],
  mayHoldNodes: (prefix: Prefix) => boolean,
): Promise<NodeWay[]> {
  const links = new Map(listLinks(netlink).map((link) => [link.index, link]))
  const surroundings: Surroundings = { links, addresses: listAddresses(netlink), nodeAddrs }
  const rules = listRules(netlink)
  const order = { 4: tablesFor(4, rules, surroundings), 6: tablesFor(6, rules, surroundings) } as const
  const found: Found[] = []
  await visitRoutesInTurns(
    netlink,
    (route) => {
      const { dst, table, metric } = route
      if (dst.length === dst.addr.bits && !mayHoldNodes(dst)) return
      const way = order[dst.family].includes(table) ? wayOf(route, surroundings) : undefined
      if (way) found.push({ way, table, metric })
    },
    (payload) => isRouteOf(payload, routeProtocol, RT_TABLE_MAIN),
  )
  found.sort((a, b) => a.metric - b.metric)
  return essentialWays(families.flatMap((family) => waysOf(found, family, order[family])))
}

type Found = { readonly way: NodeWay; readonly table: number; readonly metric: number }

/** A table counts before later ones, also where those have longer prefixes. */
function waysOf(found: readonly Found[], family: Family, order: readonly number[]): NodeWay[] {
  const ways: NodeWay[] = []
  for (const wanted of order) {
    const before = [...ways]
    for (const { way, table } of found) {
      if (table !== wanted || way.prefix.family !== family) continue
      if (!before.some(({ prefix }) => prefix.contains(way.prefix))) ways.push(way)
    }
  }
  return ways
}

/** The tables in which the kernel looks for packets of the node to any other node, in their order. Rules that ask for more than the source count not. */
function tablesFor(family: Family, rules: readonly Rule[], { nodeAddrs }: Surroundings): number[] {
  const leads = ({ src, dst, iif, oif, mark = 0, isNarrow, isInverted }: Rule): boolean =>
    (src === undefined || nodeAddrs.some((addr) => src.contains(addr))) &&
    (iif === undefined || iif === 'lo') &&
    !(dst || oif !== undefined || mark !== 0 || isNarrow || isInverted)
  const tables = rules.filter((rule) => rule.family === family && leads(rule)).flatMap(({ table }) => table ?? [])
  return [...new Set(tables)].filter((table) => table !== RT_TABLE_LOCAL)
}

function wayOf(route: Route, surroundings: Surroundings): NodeWay | undefined {
  const { dst, type, table, nextHops, scope, mtuBytes = Infinity } = route
  if (type !== 'unicast' || (dst.addr.isLinkLocal && dst.length > 0)) return undefined
  const hops = nextHops.flatMap(({ oif = 0, gateway }) => {
    const link = surroundings.links.get(oif)
    return link?.isUp && carriesPackets(link) ? [{ link, gateway }] : []
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
    // what the kernel wants of the route to a gateway, which it looks up without a source (fib_check_nh_v4_gw of net/ipv4/fib_semantics.c,
    // ip6_route_check_nh of net/ipv6/route.c); IPv6 has no scopes
    ...(isLink && (table !== RT_TABLE_MAIN || (dst.family === 4 && scope < RT_SCOPE_LINK)) && { needsOnlink: true }),
  }
}

/**
 * Packets of the tunnel have the node's address, whatever the route prefers: it is enough that the device has that address within the
 * network. Without an address of the device's own the kernel takes one of another device, of which lo is the first.
 */
function isFromNode({ dst, preferredSource }: Route, link: Link, { addresses, nodeAddrs }: Surroundings): boolean {
  const isOfNode = (addr: Addr): boolean => nodeAddrs.some((each) => each.equals(addr))
  const own = addresses.filter(({ index, addr }) => {
    return index === link.index && addr.family === dst.family && !addr.isLinkLocal
  })
  if (own.some(({ addr }) => dst.contains(addr) && isOfNode(addr))) return true
  return preferredSource ? isOfNode(preferredSource) : own.length === 0 || own.some(({ addr }) => isOfNode(addr))
}
