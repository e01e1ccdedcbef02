// The entries of the programs' maps, as bytes, for what a plan asks for. Pure.
import { type Addr } from '#/lib/addr.ts'
import { type BpfEnd, type BpfNode, type BpfPod, ownerNumber } from '#/model/bpf.ts'
import { type Struct, type StructValue, type FieldTypes } from '#/wire/bpf/layout.ts'
import {
  addr4Struct,
  addr6Struct,
  configStruct,
  indexStruct,
  type MapName,
  nodeFlags,
  nodeStruct,
  ownerStruct,
  podFlags,
  podStruct,
  portStruct,
  prefix4Struct,
  prefix6Struct,
  ways,
} from '#/wire/bpf/maps.ts'
import { macBytes } from '#/wire/ethernet/mac.ts'

export type Entry = {
  readonly map: MapName
  readonly key: Uint8Array
  readonly value: Uint8Array
  /** What the entry is about, in words; made on demand, since there may be thousands. */
  readonly about: () => string
}

/** A key or value as text, equal for equal bytes. */
export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')
}

const noMac = new Uint8Array(6)
const noAddr = new Uint8Array(16)
/** The largest value of a field of 16 bits: some devices, such as lo, have a greater MTU. */
const largestU16 = 65_535

const narrow = (mtuBytes: number): number => Math.min(mtuBytes, largestU16)

/** An IPv4 address as the IPv6 address that maps it. */
export function in16Bytes(addr: Addr): Uint8Array {
  const bytes = addr.toBytes()
  return bytes.length === 16 ? bytes : Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...bytes)
}

function made<K extends FieldTypes, V extends FieldTypes>(
  map: MapName,
  [keys, key]: readonly [Struct<K>, StructValue<K>],
  [values, value]: readonly [Struct<V>, StructValue<V>],
  about: () => string,
): Entry {
  return { map, key: keys.encode(key), value: values.encode(value), about }
}

export type PodPlace = {
  /** The index of the host end of its veth. */
  readonly index: number
  /** Of its counters. */
  readonly slot: number
  readonly mtuBytes: number
}

function flagsOf({ isBridged, isLimited }: BpfPod): number {
  return (isBridged ? podFlags.bridged : 0) | (isLimited ? podFlags.limited : 0)
}

export function podKey(addr: Addr): Pick<Entry, 'map' | 'key'> {
  const value = { addr: addr.toBytes() }
  return addr.family === 4
    ? { map: 'cw_pods4', key: addr4Struct.encode(value) }
    : { map: 'cw_pods6', key: addr6Struct.encode(value) }
}

export function portKey(index: number): Pick<Entry, 'map' | 'key'> {
  return { map: 'cw_ports', key: indexStruct.encode({ index }) }
}

/** The entries by which programs know a pod: by its host device, and by each of its addresses. */
export function podEntries(pod: BpfPod, { index, slot, mtuBytes }: PodPlace): Entry[] {
  const mac = macBytes(pod.mac)
  const flags = flagsOf(pod)
  const value = podStruct.encode({ device: index, slot, mtu: narrow(mtuBytes), flags, mac })
  return [
    ...pod.addrs.map((addr): Entry => ({ ...podKey(addr), value, about: () => `${addr} is pod ${pod.pod}` })),
    {
      ...portKey(index),
      value: portStruct.encode({ slot, flags, mac }),
      about: () => `${pod.device} is pod ${pod.pod}`,
    },
  ]
}

export function nodeEntry(node: BpfNode): Entry {
  const { prefix, owner, way } = node
  const isTunnel = way === 'tunnel4' || way === 'tunnel6'
  const mtuBytes = 'mtuBytes' in node ? (node.mtuBytes ?? 0) : 0
  const value = {
    owner: ownerNumber(owner),
    tunnel_src: isTunnel ? in16Bytes(node.src) : noAddr,
    tunnel_dst: isTunnel ? in16Bytes(node.dst) : noAddr,
    mtu: narrow(mtuBytes),
    way: ways[way],
    flags: 0,
    vtep_mac: isTunnel ? macBytes(node.vtepMac) : noMac,
  }
  const key = { length: prefix.length, addr: prefix.addr.toBytes() }
  const about = (): string => `${prefix} is ${owner}'s, ${way}${isTunnel ? ` to ${node.dst}` : ''}`
  return prefix.family === 4
    ? made('cw_nodes4', [prefix4Struct, key], [nodeStruct, value], about)
    : made('cw_nodes6', [prefix6Struct, key], [nodeStruct, value], about)
}

/** Whether programs carry packets by the value of a node's entry. */
function isCarrying(value: Uint8Array): boolean {
  const { way } = nodeStruct.decode(value)
  return way !== ways.none && way !== ways.local
}

/** Whether programs that carry packets by the one value do so no more by the other; absent: without the entry. */
export function stopsCarrying(was: Uint8Array, now?: Uint8Array): boolean {
  return isCarrying(was) && !(now !== undefined && isCarrying(now))
}

/** The entry's value when programs are to give back what they carry by it. */
export function drainingNode(value: Uint8Array): Uint8Array {
  const node = nodeStruct.decode(value)
  return nodeStruct.encode({ ...node, flags: node.flags | nodeFlags.draining })
}

export function endEntry({ addr, owner }: BpfEnd): Entry {
  const value = { owner: ownerNumber(owner) }
  return made('cw_ends', [addr6Struct, { addr: in16Bytes(addr) }], [ownerStruct, value], () => `${addr} is ${owner}'s`)
}

export type ConfigFacts = {
  readonly flags: number
  /** Of the bridge and the tunnel device; absent: there is none. */
  readonly bridge?: { readonly index: number; readonly mac: string }
  readonly tunnelDevice?: { readonly index: number; readonly mac: string }
  readonly tunnel: { readonly vni: number; readonly port: number }
  readonly tcpTimeoutS: number
  readonly udpTimeoutS: number
  readonly jiffiesHz: number
}

export function configEntry(facts: ConfigFacts): Entry {
  const { flags, bridge, tunnelDevice, tunnel, tcpTimeoutS, udpTimeoutS, jiffiesHz } = facts
  const value = {
    flags,
    bridge_device: bridge?.index ?? 0,
    tunnel_device: tunnelDevice?.index ?? 0,
    vni: tunnel.vni,
    tcp_timeout_s: tcpTimeoutS,
    udp_timeout_s: udpTimeoutS,
    vxlan_port: tunnel.port,
    jiffies_hz: jiffiesHz,
    bridge_mac: bridge ? macBytes(bridge.mac) : noMac,
    tunnel_mac: tunnelDevice ? macBytes(tunnelDevice.mac) : noMac,
  }
  return made('cw_config', [indexStruct, { index: 0 }], [configStruct, value], () => 'the settings of this node')
}
