// The marks by which an agent without any memory recognises kernel state as Causeway's. docs/ownership.md lists them.
import { Addr, type Family, type Prefix } from '#/lib/addr.ts'

/** rtm_protocol of every route that Causeway makes; it is not among the numbers of iproute2's rt_protos. */
export const routeProtocol = 67

/**
 * Metrics tell our routes to one prefix apart, so that a new one can be made before the old one goes. Of two routes the lower metric
 * counts: native wins over overlay, and both over blackhole. The kernel looks for an existing IPv4 path in a hash over metric, device and a
 * few more things, but not over next hop or encapsulation (fib_info_hashfn of net/ipv4/fib_semantics.c). With one metric for all, our paths
 * would share one bucket, and 10,000 routes would take 4 s instead of 0.2 s. IPv6 has no such hash.
 */
export function nativeMetric(dst: Prefix): number {
  return dst.family === 6 ? IP6_RT_PRIO_USER / 2 : 1 + (fnv1a(String(dst)) % metricSpread)
}

export function overlayMetric(dst: Prefix): number {
  return dst.family === 6 ? IP6_RT_PRIO_USER : 1 + metricSpread + (fnv1a(String(dst)) % metricSpread)
}

/** The greatest metric that there is: any other route wins. */
export const blackholeMetric = 0xffff_ffff

/** The kernel's default metric of an IPv6 route. */
const IP6_RT_PRIO_USER = 1024
const metricSpread = 4096

export const vxlanName = 'cw-vxlan'
/** The bridge of pods. */
export const bridgeName = 'cw-br0'
/** The node's devices that Causeway makes, each with its kind of link. The name alone does not make a device Causeway's: see `isOwnLink`. */
export const ourDevices: Readonly<Record<string, 'bridge' | 'vxlan'>> = { [bridgeName]: 'bridge', [vxlanName]: 'vxlan' }
/** The host ends of pod veths are named with this and eleven hexadecimal digits. */
export const portPrefix = 'cwv'
/** The device group (IFLA_GROUP) of pod veths that are unplugged and wait only for their deletion. */
export const unpluggedGroup = 0x6377
export const tableName = 'causeway'
/** A table of its own: the other one, with its counters, stays as it is when a pod with host ports comes or goes. */
export const hostPortTableName = 'causeway-host-ports'

/** The tables of network policy, in the families inet and bridge. What they hold changes with every pod, beside the other tables. */
export const policyTableName = 'causeway-policy'
/** The group of nflog to which packets that policies deny are told. Whoever else listens to it or logs to it harms nothing: see denialPrefix. */
export const policyLogGroup = 17_240

/** Whether an nftables table is Causeway's. */
export function isOurTable(name: string): boolean {
  return name === tableName || name === hostPortTableName || name === policyTableName
}

/** The mark that kube-proxy sets on packets that it masquerades (its --iptables-masquerade-bit 14). */
export const kubeProxyMark = 0x4000

/** The nftables sets of the other nodes' tunnel ends: allowed sources, and allowed destinations. */
export function tunnelEndSets(family: Family): readonly [from: string, to: string] {
  return [`from-nodes${family}`, `to-nodes${family}`]
}

export function isTunnelEndSet(name: string): boolean {
  return tunnelEndSets(4).includes(name) || tunnelEndSets(6).includes(name)
}

/** The next hop of every overlay route: one invented VTEP whose frames every node accepts as its own. */
export const vtepGateways = { 4: '169.254.42.1', 6: 'fe80::4243' } as const
export const vtepMac = '02:43:57:ff:ff:ff'

/** Whether a device is one of the node's own that Causeway makes, by its name alone. */
export function isOurDevice(name: string): boolean {
  return Object.hasOwn(ourDevices, name)
}

/** Whether a device is the host end of a pod's veth, by its name alone. */
export function isPodDevice(name: string): boolean {
  return name.startsWith(portPrefix) && /^[0-9a-f]{11}$/.test(name.slice(portPrefix.length))
}

export function isOurLink(name: string): boolean {
  return isOurDevice(name) || isPodDevice(name)
}

/** FNV-1a, 32 bits: spreads names over MAC addresses and the like. It is neither a secret nor a checksum. */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return hash
}

function macOf(first: string, value: number): string {
  const bytes = [24, 16, 8, 0].map((shift) => ((value >>> shift) & 0xff).toString(16).padStart(2, '0'))
  return `${first}:${bytes.join(':')}`
}

/** The start of the MAC of every device that Causeway makes on the node, the host ends of pod veths included. */
export const deviceMacStart = '02:43'

/**
 * A device's MAC, derived from the node's name, so that it stays the same when the device is made again and nodes need not tell it to each
 * other.
 */
export function deviceMac(device: string, node: string): string {
  return macOf(deviceMacStart, fnv1a(`${device} ${node}`))
}

/** The IPv6 link-local address that follows from a MAC (RFC 4291 appendix A), which the kernel gives a device where nothing says otherwise. */
export function linkLocalOf(mac: string): Addr {
  const [a, b, c, d, e, f] = mac.split(':').map((part) => Number.parseInt(part, 16)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  return Addr.fromBytes(Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f))
}

/** The alias of the node's devices that Causeway makes. Agents of before set none: their devices are known by the MAC. */
export const deviceAlias = 'causeway'

/**
 * Whether a device was made by Causeway. Beside name and kind it must have a MAC as Causeway gives it, or the alias: somebody may have
 * changed either, and a device of others may have the name.
 */
export function isOwnLink(link: {
  readonly name: string
  readonly kind: string
  readonly mac: string
  readonly alias?: string
}): boolean {
  const { name, kind, mac, alias } = link
  // the alias of a pod's veth names the pod
  if (isPodDevice(name)) return kind === 'veth' && isDeviceMac(mac)
  return kind === ourDevices[name] && (isDeviceMac(mac) || alias === deviceAlias)
}

/** Whether a MAC (lower case, with colons) could be that of a node's device; no pod may have such a MAC. */
export function isDeviceMac(mac: string): boolean {
  return mac.startsWith(`${deviceMacStart}:`)
}

/**
 * The MACs that a pod with this address may get, in the order in which they are tried: `attempt` counts from 0, and no two attempts below
 * 2^32 give the same MAC. The first follows from the address alone: a later pod with the same address gets the same MAC, so the caches of
 * neighbours stay right. The others are for when another pod has the first.
 */
export function podMac(addr: Addr, attempt = 0): string {
  const value = addr.family === 4 ? Number(addr.value) : fnv1a(addr.toString())
  return attempt === 0 ? macOf('0a:58', value) : macOf('0a:59', (value + attempt - 1) >>> 0)
}
