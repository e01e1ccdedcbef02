// Routes in the words of ip-route(8). Pure.
import { type Addr, type Family } from '#/lib/addr.ts'
import { type Route } from './route.ts'

function viaText(gateway: Addr, family: Family): string {
  return gateway.family === family ? `via ${gateway}` : `via inet6 ${gateway}`
}

/** The route in the words of ip-route(8); `deviceName` gives the name for an interface index. */
export function routeText(route: Route, deviceName: (index: number) => string): string {
  const hop = ({ gateway, oif, onlink }: Route['nextHops'][number]): string =>
    [gateway && viaText(gateway, route.dst.family), oif !== undefined && `dev ${deviceName(oif)}`, onlink && 'onlink']
      .filter(Boolean)
      .join(' ')
  const { encap } = route
  const isSingle = route.nextHops.length === 1
  const words = [
    route.type === 'unicast' ? '' : route.type,
    route.dst.length === 0 ? 'default' : String(route.dst),
    encap &&
      `encap ${encap.dst.family === 6 ? 'ip6' : 'ip'} id ${encap.vni} src ${encap.src} dst ${encap.dst}` +
        (encap.dst.family === 6 ? ' hoplimit 64 csum' : ' ttl 64'),
    ...(isSingle ? route.nextHops.map(hop) : []),
    route.preferredSource && `src ${route.preferredSource}`,
    route.mtuBytes !== undefined && `mtu ${route.mtuBytes}`,
    `proto ${route.protocol}`,
    route.metric > 0 && `metric ${route.metric}`,
    // several next hops come last, because iproute2 reads no other words after them
    ...(isSingle ? [] : route.nextHops.map((each) => `nexthop ${hop(each)}`)),
  ]
  return words.filter(Boolean).join(' ')
}
