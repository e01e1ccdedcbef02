// Routes: struct rtmsg and RTA_* (include/uapi/linux/rtnetlink.h), light-weight tunnels (include/uapi/linux/lwtunnel.h).
import { Addr, type Family, Prefix } from '#/lib/addr.ts'
import { viewOf, WireError, type Writer, written } from '#/lib/bytes.ts'
import { addr, be16, be64, bytesOf, type Codec, nest, raw, u16, u32, u8 } from './attr.ts'
import { afOf, familyOf } from './family.ts'

export const RTM_NEWROUTE = 24
export const RTM_DELROUTE = 25
export const RTM_GETROUTE = 26

export const RT_TABLE_MAIN = 254
export const RT_TABLE_LOCAL = 255
export const RT_SCOPE_UNIVERSE = 0
export const RT_SCOPE_LINK = 253
const RTNH_F_DEAD = 1
const RTNH_F_ONLINK = 4
const RTM_F_CLONED = 0x200
/** Flag of a lookup in IPv4: the answer names the table that the route is in. In IPv6 it always does, and the flag is refused. */
const RTM_F_LOOKUP_TABLE = 0x1000
/** Flag of a lookup: the answer is the matching route itself, with its prefix and table, instead of the packet's way. */
const RTM_F_FIB_MATCH = 0x2000

/** Values of `rtm_type`. */
export const routeTypes = { unicast: 1, local: 2, blackhole: 6, unreachable: 7, prohibit: 8 } as const
export type RouteType = keyof typeof routeTypes

/** Types of routes that this program never makes, by their names in ip-route(8). */
const otherTypes = { broadcast: 3, anycast: 4, multicast: 5, throw: 9 } as const
export type AnyRouteType = RouteType | keyof typeof otherTypes
export const anyRouteTypeNumbers: Readonly<Record<AnyRouteType, number>> = { ...routeTypes, ...otherTypes }

const LWTUNNEL_ENCAP_IP = 2
const LWTUNNEL_ENCAP_IP6 = 4
/** TUNNEL_CSUM of include/net/ip_tunnels.h: fill in the outer UDP checksum. */
const TUNNEL_CSUM = 0x01

/** LWTUNNEL_IP_* and LWTUNNEL_IP6_* have the same numbers; only the width of the addresses differs. */
const tunnelAttrs = nest({
  id: [1, be64],
  dst: [2, addr],
  src: [3, addr],
  ttl: [4, u8],
  flags: [6, be16],
})

const metricAttrs = nest({ mtu: [2, u32] })

const viaFamilyBytes = 2

/** struct rtvia: a next hop of another family than the route's (IPv4 over IPv6, RFC 8950). */
const via: Codec<Addr> = {
  decode: (bytes) => addr.decode(bytes.subarray(viaFamilyBytes)),
  encode(value, into) {
    into.u16le(afOf(value.family))
    addr.encode(value, into)
  },
}

const routeAttrs = nest({
  dst: [1, addr],
  src: [2, addr],
  iif: [3, u32],
  oif: [4, u32],
  gateway: [5, addr],
  priority: [6, u32],
  preferredSource: [7, addr],
  metrics: [8, metricAttrs],
  multipath: [9, raw],
  table: [15, u32],
  via: [18, via],
  preference: [20, u8],
  encapType: [21, u16],
  encap: [22, raw],
})

/** Encapsulation by the route itself; its device must be in external mode. */
export type Encap = { readonly vni: number; readonly src: Addr; readonly dst: Addr }

/** One path of a route. The gateway of an IPv4 route may be an IPv6 address. */
export type NextHop = { readonly oif?: number; readonly gateway?: Addr; readonly onlink?: boolean }

/** A route of any type, with all that decides whether a lookup takes it. */
export type AnyRoute = Omit<Route, 'type'> & {
  readonly type: AnyRouteType
  /** For packets from these addresses alone. */
  readonly from?: Prefix
  /** For packets with this TOS alone; 0: for all. */
  readonly tos: number
  /** ICMPV6_ROUTER_PREF_*: of equal routes of IPv6, that of the best router counts. */
  readonly preference?: 'low' | 'medium' | 'high'
  /** Paths that are not taken now, by their place among the next hops, since the device is down. */
  readonly deadHops: readonly number[]
}

export type Route = {
  readonly dst: Prefix
  readonly type: RouteType
  /** rtm_protocol: the program that made the route. */
  readonly protocol: number
  readonly table: number
  /** RTA_PRIORITY; the kernel changes 0 to 1024 for IPv6. */
  readonly metric: number
  readonly scope: number
  readonly nextHops: readonly NextHop[]
  readonly preferredSource?: Addr
  readonly mtuBytes?: number
  readonly encap?: Encap
}

const headerBytes = 12
const nextHopBytes = 8
const tunnelTtl = 64

function encodeEncap(encap: Encap): { encapType: number; encap: Uint8Array } {
  const isV6 = encap.dst.family === 6
  return {
    encapType: isV6 ? LWTUNNEL_ENCAP_IP6 : LWTUNNEL_ENCAP_IP,
    encap: bytesOf(tunnelAttrs, {
      id: BigInt(encap.vni),
      dst: encap.dst,
      src: encap.src,
      ttl: tunnelTtl,
      // RFC 8200 section 8.1: UDP over IPv6 carries a checksum
      ...(isV6 && { flags: TUNNEL_CSUM }),
    }),
  }
}

function gatewayAttr(gateway: Addr, family: Family): { gateway: Addr } | { via: Addr } {
  return gateway.family === family ? { gateway } : { via: gateway }
}

function encodeMultipath(nextHops: readonly NextHop[], family: Family): Uint8Array {
  return written((into) => {
    for (const hop of nextHops) {
      const start = into.reserve(2)
      into.u8(hop.onlink ? RTNH_F_ONLINK : 0)
      into.u8(0)
      into.u32le(hop.oif ?? 0)
      if (hop.gateway) routeAttrs.encode(gatewayAttr(hop.gateway, family), into)
      into.patchU16le(start, into.length - start)
    }
  })
}

export function encodeRoute(route: Route): Uint8Array {
  return written((into) => putRoute(route, into))
}

function putRoute(route: Route, into: Writer): void {
  const [first] = route.nextHops
  const single = route.nextHops.length === 1 ? first : undefined
  into.u8(afOf(route.dst.family))
  into.u8(route.dst.length)
  into.u8(0)
  into.u8(0)
  into.u8(route.table < 256 ? route.table : 0)
  into.u8(route.protocol)
  into.u8(route.scope)
  into.u8(routeTypes[route.type])
  into.u32le(single?.onlink ? RTNH_F_ONLINK : 0)
  routeAttrs.encode(
    {
      ...(route.dst.length > 0 && { dst: route.dst.addr }),
      ...(single?.oif !== undefined && { oif: single.oif }),
      ...(single?.gateway && gatewayAttr(single.gateway, route.dst.family)),
      ...(route.metric > 0 && { priority: route.metric }),
      ...(route.preferredSource && { preferredSource: route.preferredSource }),
      ...(route.mtuBytes !== undefined && { metrics: { mtu: route.mtuBytes } }),
      ...(route.nextHops.length > 1 && { multipath: encodeMultipath(route.nextHops, route.dst.family) }),
      table: route.table,
      ...(route.encap && encodeEncap(route.encap)),
    },
    into,
  )
}

const lookupAttrs = nest({
  dst: [1, addr],
  src: [2, addr],
  iif: [3, u32],
  oif: [4, u32],
  ipProtocol: [27, u8],
  sourcePort: [28, be16],
  destinationPort: [29, be16],
})

/** A packet whose way is asked for; what is absent counts as any. */
export type PacketLookup = {
  readonly dst: Addr
  readonly src?: Addr
  readonly iif?: number
  readonly oif?: number
  /** The kernel takes TCP, UDP and ICMP. */
  readonly ipProtocol?: number
  readonly sourcePort?: number
  readonly destinationPort?: number
}

/**
 * The payload of an RTM_GETROUTE that asks for the way of a packet: the next hop that is chosen, the source address, and the MTU known of it; or for the
 * route that matches it.
 */
export function encodeWayLookup(lookup: PacketLookup, isForMatch = false): Uint8Array {
  const { dst, src } = lookup
  const flags = (dst.family === 4 ? RTM_F_LOOKUP_TABLE : 0) | (isForMatch ? RTM_F_FIB_MATCH : 0)
  return written((into) => {
    into.u8(afOf(dst.family))
    into.u8(dst.bits)
    into.u8(src === undefined ? 0 : src.bits)
    into.reserve(5)
    into.u32le(flags)
    lookupAttrs.encode(lookup, into)
  })
}

/**
 * The payload of an RTM_GETROUTE that asks for the one route that a packet takes. `iif` is the device that it comes from; absent for the
 * node's own packets.
 */
export function encodeRouteLookup(dst: Addr, src?: Addr, iif?: number): Uint8Array {
  return written((into) => {
    into.u8(afOf(dst.family))
    into.u8(dst.bits)
    into.u8(src === undefined ? 0 : src.bits)
    into.reserve(5)
    into.u32le(dst.family === 4 ? RTM_F_LOOKUP_TABLE | RTM_F_FIB_MATCH : RTM_F_FIB_MATCH)
    lookupAttrs.encode({ dst, ...(src && { src }), ...(iif !== undefined && { iif }) }, into)
  })
}

function sameAddr(a: Addr | undefined, b: Addr | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && a.equals(b))
}

function sameHop(a: NextHop, b: NextHop): boolean {
  return a.oif === b.oif && (a.onlink ?? false) === (b.onlink ?? false) && sameAddr(a.gateway, b.gateway)
}

/** Whether two routes have the same paths in any order: the kernel lists equal paths of an IPv6 route in no fixed order. */
function sameHops(a: readonly NextHop[], b: readonly NextHop[]): boolean {
  const areIn = (some: readonly NextHop[], all: readonly NextHop[]): boolean =>
    some.every((hop) => all.some((other) => sameHop(hop, other)))
  return a.length === b.length && areIn(a, b) && areIn(b, a)
}

/** Whether two routes forward alike and have the same owner and metric. */
export function sameRoute(a: Route, b: Route): boolean {
  return (
    a.dst.equals(b.dst) &&
    a.type === b.type &&
    a.protocol === b.protocol &&
    a.table === b.table &&
    a.metric === b.metric &&
    a.mtuBytes === b.mtuBytes &&
    sameAddr(a.preferredSource, b.preferredSource) &&
    a.encap?.vni === b.encap?.vni &&
    sameAddr(a.encap?.src, b.encap?.src) &&
    sameAddr(a.encap?.dst, b.encap?.dst) &&
    sameHops(a.nextHops, b.nextHops)
  )
}

function decodeMultipath(bytes: Uint8Array): NextHop[] {
  const view = viewOf(bytes)
  const hops: NextHop[] = []
  let offset = 0
  while (bytes.length - offset >= nextHopBytes) {
    const length = view.getUint16(offset, true)
    if (length < nextHopBytes || offset + length > bytes.length)
      throw new WireError(`next hop of length ${length}`, offset)
    const attrs = routeAttrs.decode(bytes.subarray(offset + nextHopBytes, offset + length))
    hops.push(nextHop(view.getUint32(offset + 4, true), attrs.gateway ?? attrs.via, view.getUint8(offset + 2)))
    offset += (length + 3) & ~3
  }
  return hops
}

function nextHop(oif: number | undefined, gateway: Addr | undefined, flags: number): NextHop {
  return {
    ...(oif !== undefined && { oif }),
    ...(gateway && { gateway }),
    ...(flags & RTNH_F_ONLINK && { onlink: true }),
  }
}

function decodeEncap(type: number | undefined, bytes: Uint8Array | undefined): Encap | undefined {
  if (bytes === undefined || (type !== LWTUNNEL_ENCAP_IP && type !== LWTUNNEL_ENCAP_IP6)) return undefined
  const { id = 0n, dst, src } = tunnelAttrs.decode(bytes)
  return dst && src ? { vni: Number(id), src, dst } : undefined
}

const namesByNumber = <Name extends string>(numbers: Readonly<Record<Name, number>>): Map<number, Name> =>
  new Map(Object.entries<number>(numbers).map(([name, number]) => [number, name as Name]))

const typeNames: ReadonlyMap<number, RouteType> = namesByNumber(routeTypes)
const anyTypeNames: ReadonlyMap<number, AnyRouteType> = namesByNumber(anyRouteTypeNumbers)
const leadNowhere = new Set<string>(['blackhole', 'unreachable', 'prohibit', 'throw'])
const preferences = ['medium', 'high', undefined, 'low'] as const

/** Whether the message is of a route with this protocol in this table (below 256), seen without decoding it. */
export function isRouteOf(payload: Uint8Array, protocol: number, table: number): boolean {
  return payload[5] === protocol && payload[4] === table
}

/** Decodes a route; undefined for other than plain IP routes: other families, cached clones, multicast and broadcast. */
export function decodeRoute(payload: Uint8Array): Route | undefined {
  if (payload.length < headerBytes) throw new WireError('route message cut off', payload.length)
  return viewOf(payload).getUint32(8, true) & RTM_F_CLONED ? undefined : decodeWay(payload)
}

/** Decodes a route, or the way of one packet, which the kernel tells as a clone of a route. */
export function decodeWay(payload: Uint8Array): Route | undefined {
  return decodeTyped(payload, typeNames)?.route
}

/** Decodes a route of any type; undefined for other families and cached clones. */
export function decodeAnyRoute(payload: Uint8Array): AnyRoute | undefined {
  const decoded = decodeTyped(payload, anyTypeNames)
  if (decoded === undefined || (decoded.flags & RTM_F_CLONED) !== 0) return undefined
  const { route, attrs, flags } = decoded
  const srcLength = payload[2]!
  const hopFlags = attrs.multipath ? multipathFlags(attrs.multipath) : route.nextHops.map(() => flags)
  const preference = preferences[attrs.preference ?? 0]
  return {
    ...route,
    ...(srcLength > 0 && { from: new Prefix(attrs.src ?? new Addr(route.dst.family, 0n), srcLength) }),
    tos: payload[3]!,
    ...(attrs.preference !== undefined && preference && { preference }),
    deadHops: hopFlags.flatMap((each, index) => ((each & RTNH_F_DEAD) === 0 ? [] : [index])),
  }
}

function multipathFlags(bytes: Uint8Array): number[] {
  const view = viewOf(bytes)
  const flags: number[] = []
  // decodeMultipath has found the lengths to be right
  for (let offset = 0; bytes.length - offset >= nextHopBytes; offset += (view.getUint16(offset, true) + 3) & ~3)
    flags.push(view.getUint8(offset + 2))
  return flags
}

function decodeTyped<Type extends string>(
  payload: Uint8Array,
  names: ReadonlyMap<number, Type>,
):
  | {
      readonly route: Omit<Route, 'type'> & { readonly type: Type }
      readonly attrs: ReturnType<typeof routeAttrs.decode>
      readonly flags: number
    }
  | undefined {
  if (payload.length < headerBytes) throw new WireError('route message cut off', payload.length)
  const view = viewOf(payload)
  const family: Family | undefined = familyOf(view.getUint8(0))
  const type = names.get(view.getUint8(7))
  const flags = view.getUint32(8, true)
  if (family === undefined || type === undefined) return undefined
  const attrs = routeAttrs.decode(payload.subarray(headerBytes))
  const length = view.getUint8(1)
  const dst = attrs.dst ?? new Addr(family, 0n)
  if (dst.family !== family || length > dst.bits) throw new WireError(`route to ${dst} with prefix length ${length}`, 1)
  const encap = decodeEncap(attrs.encapType, attrs.encap)
  const gateway = attrs.gateway ?? attrs.via
  // in the kernel IPv6 routes that lead nowhere, such as blackholes, have the device lo, which is not a path
  const hasPath = !leadNowhere.has(type) && (attrs.oif !== undefined || gateway !== undefined)
  return {
    route: {
      dst: new Prefix(dst, length),
      type,
      protocol: view.getUint8(5),
      table: attrs.table ?? view.getUint8(4),
      metric: attrs.priority ?? 0,
      scope: view.getUint8(6),
      nextHops: attrs.multipath
        ? decodeMultipath(attrs.multipath)
        : hasPath
          ? [nextHop(attrs.oif, gateway, flags)]
          : [],
      ...(attrs.preferredSource && { preferredSource: attrs.preferredSource }),
      ...(attrs.metrics?.mtu !== undefined && { mtuBytes: attrs.metrics.mtu }),
      ...(encap && { encap }),
    },
    attrs,
    flags,
  }
}
