// The failure reported when somebody else's route keeps one of ours from being made or from its work. The remedy must not cut the node
// off: a route that the kernel made goes only with its address, and a route by which the node is reached must stay. Pure.
import { type Addr, type Prefix } from '#/lib/addr.ts'
import { type DesiredRoute } from '#/model/network.ts'
import { type Route } from '#/wire/netlink/route.ts'
import { type Failure } from '#/model/failure.ts'

/** RTPROT_KERNEL of linux/rtnetlink.h: the kernel made the route itself, for an address of a device. */
const kernelProtocol = 2

/** Programs that make their routes again when somebody deletes them, by rtm_protocol (linux/rtnetlink.h). */
const keepers: Readonly<Record<number, string>> = {
  9: 'a router, by its advertisements',
  11: 'zebra of FRR',
  12: 'BIRD',
  16: 'a DHCP client',
  18: 'keepalived',
  186: 'BGP of a routing daemon',
  187: 'IS-IS of a routing daemon',
  188: 'OSPF of a routing daemon',
  189: 'RIP of a routing daemon',
}

export type RouteSurroundings = {
  /** The found route as ip-route(8) prints it. */
  readonly text: string
  /** Addresses by which nodes reach each other (nodeAddrsIn). */
  readonly nodes: readonly Addr[]
  /** Addresses of this node's own devices. */
  readonly own: readonly Addr[]
}

/** Addresses of the nodes and routers that desired routes lead to, where a route contains one. */
export function nodeAddrsIn(routes: Iterable<DesiredRoute>): Addr[] {
  return [...routes].flatMap((route) => {
    switch (route.kind) {
      case 'overlay':
        return [route.encap.src, route.encap.dst]
      case 'native':
        return route.nextHops.map(({ gateway }) => gateway)
      case 'blackhole':
        return []
      default:
        return route satisfies never
    }
  })
}

function otherPrefix(wanted: DesiredRoute): string {
  if (wanted.kind === 'blackhole') return 'give this node another pod CIDR'
  return wanted.node === undefined
    ? `have BGP not tell ${wanted.dst}`
    : `give node ${wanted.node} another pod CIDR than ${wanted.dst}`
}

/** `found` is somebody else's route to the prefix of `wanted`. */
export function routeInTheWay(found: Route, wanted: DesiredRoute, surroundings: RouteSurroundings): Failure {
  return {
    message: `another's route stands in the way: ${surroundings.text}`,
    remedy: remedyForRoute(found, otherPrefix(wanted), surroundings),
  }
}

/** What to do about somebody else's route of the main table; `instead` is what else helps, where the route must stay. */
export function remedyForRoute(found: Route, instead: string, { text, nodes, own }: RouteSurroundings): string {
  const isIn = (dst: Prefix, addrs: readonly Addr[]): boolean => addrs.some((addr) => dst.contains(addr))
  // what drops packets is no way to anybody
  const isWay = found.type === 'unicast' || found.type === 'local'
  if (isWay && (found.dst.length === 0 || isIn(found.dst, nodes)))
    return `do not delete that route, by which this node is reached: ${instead}`
  if (found.protocol === kernelProtocol)
    return `do not delete that route: the kernel made it for an address of that device. If nothing needs the address, remove it or the device; else ${instead}`
  if (isWay && isIn(found.dst, own))
    return `do not delete that route, as an address of this node is within it: ${instead}`
  const keeper = keepers[found.protocol]
  if (keeper !== undefined)
    return `${instead}, or have its maker, ${keeper}, not make that route; deleted by hand it comes back`
  const command = `ip ${found.dst.family === 6 ? '-6 ' : ''}route del ${text}`
  return `if nothing uses that route, neither this node's way to the API nor to other nodes, remove it where it is configured, and with: ${command}; else ${instead}`
}
