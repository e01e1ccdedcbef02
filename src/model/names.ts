// The marks by which an agent that has lost all memory recognises kernel state as Causeway's. docs/ownership.md lists them.
import { type Addr, type Family, type Prefix } from '#/lib/addr.ts'

/** rtm_protocol of every route we make; not among the numbers of iproute2's rt_protos. */
export const routeProtocol = 67

/**
 * Metrics tell our routes to one prefix apart, so that one can be made before the other goes. Of two that are there the lower one
 * counts: native before overlay, both before nothing. The kernel finds out whether an IPv4 route's path is one that it knows
 * already in a hash over metric, device and a few things more (fib_info_hashfn of net/ipv4/fib_semantics.c), but not over next hop
 * or encapsulation. With one metric all our paths would stand in one bucket, and 10,000 routes cost 4 s instead of 0.2 s. IPv6 has
 * no such hash.
 */
export function nativeMetric(dst: Prefix): number {
  return dst.family === 6 ? IP6_RT_PRIO_USER / 2 : 1 + (fnv1a(String(dst)) % metricSpread)
}

export function overlayMetric(dst: Prefix): number {
  return dst.family === 6 ? IP6_RT_PRIO_USER : 1 + metricSpread + (fnv1a(String(dst)) % metricSpread)
}

/** The last of all that can be told. */
export const blackholeMetric = 0xffff_ffff

/** The kernel's own default. */
const IP6_RT_PRIO_USER = 1024
const metricSpread = 4096

export const vxlanName = 'cw-vxlan'
/** The node's devices that are ours, each with the kind of link that it is. One of another kind by that name is somebody else's. */
export const ourDevices: Readonly<Record<string, 'bridge' | 'vxlan'>> = { 'cw-br0': 'bridge', [vxlanName]: 'vxlan' }
/** Host ends of pod veths: this and eleven hexadecimal digits. */
export const portPrefix = 'cwv'
/** Device group (IFLA_GROUP) of pod veths that are unplugged and only wait for their deletion. */
export const unpluggedGroup = 0x6377
export const tableName = 'causeway'

/** Set by kube-proxy on packets that it masquerades (its --iptables-masquerade-bit 14). */
export const kubeProxyMark = 0x4000

/** nftables sets of the other nodes' tunnel ends: by whom packets come, and to whom they go. */
export function tunnelEndSets(family: Family): readonly [from: string, to: string] {
  return [`from-nodes${family}`, `to-nodes${family}`]
}

export function isTunnelEndSet(name: string): boolean {
  return tunnelEndSets(4).includes(name) || tunnelEndSets(6).includes(name)
}

/** Of the VXLAN device itself, on every node the same: nobody sends to it. */
export const vxlanAddr = '169.254.42.2'
/** The next hop of every overlay route: one made-up VTEP whose frames every node takes as its own. */
export const vtepGateways = { 4: '169.254.42.1', 6: 'fe80::4243' } as const
export const vtepMac = '02:43:57:ff:ff:ff'

/** Whether it is one of the node's own devices, by its name alone. */
export function isOurDevice(name: string): boolean {
  return Object.hasOwn(ourDevices, name)
}

/** Whether it is the host's end of a pod's veth, by its name alone. */
export function isPodDevice(name: string): boolean {
  return name.startsWith(portPrefix) && /^[0-9a-f]{11}$/.test(name.slice(portPrefix.length))
}

export function isOurLink(name: string): boolean {
  return isOurDevice(name) || isPodDevice(name)
}

/** FNV-1a, 32 bits: spreads names over MAC addresses and the like; not a secret and not a checksum. */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return hash
}

function macOf(first: string, value: number): string {
  const bytes = [24, 16, 8, 0].map((shift) => ((value >>> shift) & 0xff).toString(16).padStart(2, '0'))
  return `${first}:${bytes.join(':')}`
}

/** How the MAC of every device of the node begins that Causeway makes, the host's ends of pod veths included. */
export const deviceMacStart = '02:43'

/** Derived from the node's name, so that it stays when the device is made again and no node has to tell it to another. */
export function deviceMac(device: string, node: string): string {
  return macOf(deviceMacStart, fnv1a(`${device} ${node}`))
}

/** Whether a MAC (lower case, with colons) may be that of one of the node's devices; no pod may have such a one. */
export function isDeviceMac(mac: string): boolean {
  return mac.startsWith(`${deviceMacStart}:`)
}

/**
 * The MACs that a pod with this address may get, in the order in which they are tried: `attempt` counts from 0, and no two below
 * 2^32 give the same. The first follows from the address alone: the pod that gets the address later gets that MAC too, and what
 * neighbours have in their caches stays right. The others are for when another pod has it.
 */
export function podMac(addr: Addr, attempt = 0): string {
  const value = addr.family === 4 ? Number(addr.value) : fnv1a(addr.toString())
  return attempt === 0 ? macOf('0a:58', value) : macOf('0a:59', (value + attempt - 1) >>> 0)
}
