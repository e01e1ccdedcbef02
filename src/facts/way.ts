// The way of one packet in a namespace, as RTM_GETROUTE tells it: what the tables say, and what the kernel refuses before and after it has looked
// there. net/ipv4/route.c and fib_frontend.c.
import { Addr, Prefix } from '#/lib/addr.ts'
import { type NextHop, type Route, routeTypes } from '#/wire/netlink/route.ts'
import { type WayAnswer, type WayLookup } from '#/wire/netlink/route-lookup.ts'
import { Fib, type FibAnswer, type FibPacket } from './fib.ts'

export type WayState = {
  readonly fib: Fib
  readonly addresses: readonly { readonly index: number; readonly addr: Addr; readonly prefixLength: number }[]
  readonly nameOf: (index: number) => string
  readonly sysctl: (path: string) => string | undefined
}

const loopback: NextHop = { oif: 1 }
const STRICT = 1

const refused = (code: string): WayAnswer => ({ kind: 'refused', code, words: code })

export function wayOf(lookup: WayLookup, state: WayState): WayAnswer {
  return lookup.iif === undefined ? wayOut(lookup, state) : wayIn(lookup, { ...state, iif: lookup.iif })
}

/** What a look-up of IPv4 takes a packet for that is of no protocol. */
const usualProtocol = 17

function packetOf({ dst, src, iif, oif, ...more }: WayLookup, { nameOf, fib }: WayState): FibPacket {
  const isSeen = dst.family === 6 || iif === undefined || fib.looksAtPorts
  return {
    ...(dst.family === 4 && isSeen && { ipProtocol: usualProtocol }),
    ...(isSeen && more),
    dst,
    ...(src && { src }),
    iif: iif?.name ?? 'lo',
    ...(iif && { iifIndex: iif.index }),
    ...(oif !== undefined && { oif: { index: oif, name: nameOf(oif) } }),
  }
}

/** A packet of this namespace itself. */
function wayOut(lookup: WayLookup, state: WayState): WayAnswer {
  const { dst, src, oif } = lookup
  // a program may send IPv6 from an address of others, if it is allowed to
  if (dst.family === 4 && src) {
    if (isNobodys(src)) return refused('EINVAL')
    const isOwn = state.addresses.some(({ addr }) => addr.equals(src)) || state.fib.isLocal(src)
    if (!isOwn) return refused('ENETUNREACH')
  }
  const found = state.fib.lookUp(packetOf(lookup, state))
  if (found.kind === 'refused') {
    // the kernel takes a receiver that no route leads to for one at the device that is asked for, which matches no route
    return refused(dst.family === 4 && oif !== undefined ? 'EHOSTUNREACH' : found.code)
  }
  const source =
    src ?? found.route.preferredSource ?? (found.route.type === 'local' ? dst : sourceAt(lookup, found.hops[0], state))
  return told(lookup, found, src ? undefined : source)
}

type Incoming = WayState & { readonly iif: { readonly index: number; readonly name: string } }

/** A packet that comes by a device. */
function wayIn(lookup: WayLookup, state: Incoming): WayAnswer {
  const { dst, src } = lookup
  const found = state.fib.lookUp(packetOf(lookup, state))
  if (dst.family === 6) return found.kind === 'refused' ? refused(found.code) : told(lookup, found)
  if (isMartian(lookup, state)) return refused('EINVAL')
  const forwards = state.sysctl(`net/ipv4/conf/${state.iif.name}/forwarding`) !== '0'
  if (found.kind === 'refused') return refused(forwards ? found.code : 'EHOSTUNREACH')
  const { type } = found.route
  const isToHere = type === 'local' || type === 'broadcast'
  if (!isToHere && !forwards) return refused('EHOSTUNREACH')
  if (!isToHere && type !== 'unicast') return refused('EINVAL')
  const to = type === 'broadcast' ? undefined : dst
  const code = src && sourceRefusal({ src, ...(to && { to }) }, lookup, isToHere ? undefined : found.hops[0], state)
  return code === undefined ? told(lookup, found) : refused(code)
}

const ofThisNetwork = Prefix.parse('0.0.0.0/8')
const everybody = Addr.parse('255.255.255.255')
const isNobodys = (addr: Addr): boolean => addr.isMulticast || addr.equals(everybody) || ofThisNetwork.contains(addr)

function isMartian({ dst, src }: WayLookup, { iif, sysctl }: Incoming): boolean {
  if (src && isNobodys(src)) return true
  if (ofThisNetwork.contains(dst)) return true
  const routesLocal = ['all', iif.name].some((name) => sysctl(`net/ipv4/conf/${name}/route_localnet`) === '1')
  return !routesLocal && [dst, src].some((addr) => addr?.isLoopback)
}

/**
 * Why the kernel does not take a packet from there (fib_validate_source); undefined: it does. `out`: by which it would forward it. Up to Linux 6.12 the code
 * for rp_filter is EXDEV.
 */
function sourceRefusal(
  { src, to }: { readonly src: Addr; readonly to?: Addr },
  lookup: WayLookup,
  out: NextHop | undefined,
  state: Incoming,
): 'EINVAL' | undefined {
  const { fib, iif, sysctl, nameOf, addresses } = state
  const setting = (name: string): number =>
    Math.max(...['all', iif.name].map((each) => Number(sysctl(`net/ipv4/conf/${each}/${name}`) ?? 0)))
  const [rpFilter, acceptsLocal] = [setting('rp_filter'), setting('accept_local') === 1]
  // where a redirect may be due, the kernel looks at all
  const isBack = out?.oif === iif.index && setting('send_redirects') === 1
  if (rpFilter === 0 && !isBack) {
    if (acceptsLocal) return undefined
    if (!fib.isCustom) return addresses.some(({ addr }) => addr.equals(src)) ? 'EINVAL' : undefined
  }
  const hasNoAddr = !addresses.some(({ index, addr }) => index === iif.index && addr.family === 4)
  const { sourcePort: destinationPort, destinationPort: sourcePort, ipProtocol } = packetOf(lookup, state)
  const back = fib.lookUp({
    dst: src,
    ...(ipProtocol !== undefined && { ipProtocol }),
    // of a broadcast the kernel looks for the sender alone
    ...(to && { src: to }),
    iif: out?.oif === undefined ? 'lo' : nameOf(out.oif),
    ...(sourcePort !== undefined && { sourcePort }),
    ...(destinationPort !== undefined && { destinationPort }),
  })
  if (back.kind === 'refused') return rpFilter === 0 ? undefined : 'EINVAL'
  const { type, nextHops } = back.route
  if (type !== 'unicast' && !(type === 'local' && acceptsLocal)) return 'EINVAL'
  if (nextHops.some(({ oif }) => oif === iif.index)) return undefined
  if (hasNoAddr) return rpFilter === 0 ? undefined : 'EINVAL'
  // loose: any way back does
  return rpFilter === STRICT ? 'EINVAL' : undefined
}

const isKnownType = (type: string): type is Route['type'] => Object.hasOwn(routeTypes, type)

function told(lookup: WayLookup, { route, hops }: Extract<FibAnswer, { kind: 'route' }>, source?: Addr): WayAnswer {
  const { dst } = lookup
  const { type, from: _from, tos: _tos, preference: _preference, deadHops: _deadHops, ...rest } = route
  // types of route that the program knows nothing of, such as broadcast
  if (!isKnownType(type)) return { kind: 'way', route: undefined, chosen: undefined }
  const matching: Route = { ...rest, type }
  const [first] = hops
  const { preferredSource: _source, ...others } = matching
  const chosen: Route = {
    ...others,
    dst: Prefix.host(dst),
    nextHops: type === 'local' ? [loopback] : first ? [first] : [],
    ...(source && { preferredSource: source }),
  }
  return { kind: 'way', route: matching, chosen }
}

/** The address that packets get which leave by a device: one of the gateway's network, or else the device's first, or else any. */
function sourceAt({ dst }: Pick<WayLookup, 'dst'>, hop: NextHop | undefined, state: WayState): Addr | undefined {
  const near = hop?.gateway?.family === dst.family ? hop.gateway : dst
  const own = state.addresses.filter(({ addr }) => addr.family === dst.family && !addr.isLoopback)
  const isUsable = ({ addr }: (typeof own)[number]): boolean => dst.family === 4 || dst.isLinkLocal || !addr.isLinkLocal
  const atDevice = own.filter((each) => each.index === hop?.oif && isUsable(each))
  const ofNetwork = atDevice.find(({ addr, prefixLength }) => new Prefix(addr, prefixLength).contains(near))
  return (ofNetwork ?? atDevice[0] ?? own.find(isUsable))?.addr
}
