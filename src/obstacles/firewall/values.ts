// What a register of the kernel's nftables machine holds for a class of packets, and how comparisons with it come out.
import { Addr, type Family, type Prefix } from '#/lib/addr.ts'
import { type DeviceFact, type Level, levelOfRanges, opposite, type PacketClass } from './packet.ts'

export type Value =
  /** Bits of which those set in `known` are known. */
  | { readonly kind: 'bits'; readonly bytes: Uint8Array; readonly known: Uint8Array }
  /** The first `mask.length` bytes of an address, and the mask that was laid over it. */
  | { readonly kind: 'addr'; readonly family: Family; readonly among: readonly Prefix[]; readonly mask: Uint8Array }
  /** Any port of this range. */
  | { readonly kind: 'port'; readonly low: number; readonly high: number }
  /** The name, or the index, of a device of the underlay. */
  | { readonly kind: 'underlay'; readonly of: 'name' | 'index' }
  | { readonly kind: 'unknown' }

export const unknown: Value = { kind: 'unknown' }
const anyPort: Value = { kind: 'port', low: 0, high: 0xffff }

const native32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer)
export const bits = (bytes: Uint8Array, known: Uint8Array = new Uint8Array(bytes.length).fill(0xff)): Value => ({
  kind: 'bits',
  bytes,
  known,
})

const nameBytes = 16
const loopback = { name: 'lo', index: 1 } as const

/** Marks of kube-proxy and the kubelet (masquerade, drop): packets between pods have neither. */
const kubernetesMarks = 0x4000 | 0x8000
const ctStates = { new: 8, established: 2, untracked: 64 } as const
/** IPS_SRC_NAT and IPS_DST_NAT: packets to a pod's own address are not translated. */
const translated = 0x10 | 0x20
const protocols = { tcp: 6, udp: 17, icmp: 1 } as const
const ICMPV6 = 58

const protocolOf = ({ protocol, family }: PacketClass): number =>
  protocol === 'icmp' && family === 6 ? ICMPV6 : protocols[protocol]

/** A number of two bytes in network order. */
const be16 = (value: number): Value => bits(Uint8Array.of(value >> 8, value & 0xff))
const TCP_SYN = 2

function deviceName(device: DeviceFact): Value {
  if (device.kind === 'underlay') return { kind: 'underlay', of: 'name' }
  const text = device.kind === 'named' ? device.name : device.kind === 'beginning' ? device.start : ''
  const bytes = new Uint8Array(nameBytes)
  bytes.set(new TextEncoder().encode(text))
  const known = new Uint8Array(nameBytes).fill(0xff)
  if (device.kind === 'beginning') known.fill(0, text.length)
  return bits(bytes, known)
}

function etherType({ family, isArp }: PacketClass): Value {
  if (isArp) return bits(Uint8Array.of(0x08, 0x06))
  return bits(family === 4 ? Uint8Array.of(0x08, 0) : Uint8Array.of(0x86, 0xdd))
}

/** The value of a meta key (enum nft_meta_keys). */
export function metaValue(key: number, packet: PacketClass): Value {
  switch (key) {
    case 1:
      return etherType(packet)
    case 3:
      return packet.isTranslated ? unknown : bits(native32(0), native32(kubernetesMarks))
    case 4:
    case 5: {
      const device = key === 4 ? packet.iif : packet.oif
      if (device.kind === 'named' && device.index !== undefined) return bits(native32(device.index))
      // the index of a device of ours is not known either, but is not that of the loopback device
      return device.kind === 'none' ? bits(native32(0)) : { kind: 'underlay', of: 'index' }
    }
    case 6:
      return deviceName(packet.iif)
    case 7:
      return deviceName(packet.oif)
    case 15:
      // NFPROTO_BRIDGE, or that of the packet
      return bits(Uint8Array.of(packet.bridge !== undefined ? 7 : packet.family === 4 ? 2 : 10))
    case 16:
      return packet.isArp ? unknown : bits(Uint8Array.of(protocolOf(packet)))
    case 17:
      return packet.bridge === undefined ? unknown : deviceName({ kind: 'named', name: packet.bridge })
    case 19:
      // PACKET_HOST; frames between ports of a bridge may be for another host
      return packet.bridge === undefined ? bits(Uint8Array.of(0)) : unknown
    default:
      return unknown
  }
}

/** The value of a conntrack key (enum nft_ct_keys). */
export function ctValue(key: number, packet: PacketClass): Value {
  if (key === 0) return bits(native32(ctStates[packet.ctState]))
  if (key === 2 && packet.ctState !== 'established' && !packet.isTranslated)
    return bits(native32(0), native32(translated))
  return unknown
}

/** The type that the routing table gives the packet's destination (`fib daddr type`). */
export function destinationType(packet: PacketClass): Value {
  return bits(native32(packet.isLocal ? 2 : 1))
}

const addressAt = {
  4: { src: 12, dst: 16, bytes: 4, protocol: 9 },
  6: { src: 8, dst: 24, bytes: 16, protocol: 6 },
} as const

/** The first fields of an ARP packet about IPv4 addresses on Ethernet (RFC 826): hardware, protocol, and the lengths of both addresses. */
const arpOfIPv4 = Uint8Array.of(0, 1, 0x08, 0, 6, 4)

/** The value of bytes of the packet: of its Ethernet header (base 0), its network header (1) or its transport header (2). */
export function payloadValue(base: number, offset: number, length: number, packet: PacketClass): Value {
  const isFrame = packet.bridge !== undefined || packet.isFrame
  if (base === 0 && offset === 12 && length === 2 && isFrame) return etherType(packet)
  if (packet.isArp)
    return base === 1 && offset + length <= arpOfIPv4.length
      ? bits(arpOfIPv4.subarray(offset, offset + length))
      : unknown
  if (base === 1) {
    const at = addressAt[packet.family]
    const field = offset === at.src ? packet.src : offset === at.dst ? packet.dst : undefined
    if (field !== undefined && length <= at.bytes)
      return { kind: 'addr', family: packet.family, among: field, mask: new Uint8Array(length).fill(0xff) }
    if (offset === at.protocol && length === 1) return bits(Uint8Array.of(protocolOf(packet)))
  }
  if (packet.protocol === 'icmp')
    return base === 2 && offset === 0 && length === 1 && packet.icmpType !== undefined
      ? bits(Uint8Array.of(packet.icmpType))
      : unknown
  if (base === 2 && length === 2 && offset === 0) return packet.sport === undefined ? anyPort : be16(packet.sport)
  if (base === 2 && length === 2 && offset === 2) return packet.dport === undefined ? anyPort : be16(packet.dport)
  if (base === 2 && length === 1 && offset === 13 && packet.protocol === 'tcp' && packet.ctState === 'new')
    return bits(Uint8Array.of(TCP_SYN))
  return unknown
}

/** The bytes of a value of which all is known, padded as in a register; undefined for any other. */
export function exactBytes(value: Value): Uint8Array | undefined {
  const bytes = value.kind === 'bits' ? exactBits(value) : value.kind === 'addr' ? exactAddr(value) : undefined
  if (bytes === undefined || bytes.length % 4 === 0) return bytes
  const padded = new Uint8Array((bytes.length + 3) & ~3)
  padded.set(bytes)
  return padded
}

function exactBits({ bytes, known }: Value & { kind: 'bits' }): Uint8Array | undefined {
  return isWhole(known, bytes.length) ? bytes : undefined
}

function exactAddr({ among, mask }: Value & { kind: 'addr' }): Uint8Array | undefined {
  const [only] = among
  if (only === undefined || among.length > 1 || only.length !== only.addr.bits) return undefined
  const bytes = only.addr.toBytes()
  return mask.map((each, index) => each & bytes[index]!)
}

/** Lays a mask over a value and flips the bits of `xor`. */
export function masked(value: Value, mask: Uint8Array, xor: Uint8Array): Value {
  if (value.kind === 'bits' && mask.length <= value.bytes.length)
    return bits(
      mask.map((each, index) => (value.bytes[index]! & each) ^ (xor[index] ?? 0)),
      mask.map((each, index) => value.known[index]! | (~each & 0xff)),
    )
  if (value.kind === 'addr' && mask.length === value.mask.length && xor.every((each) => each === 0))
    return { ...value, mask: mask.map((each, index) => each & value.mask[index]!) }
  return unknown
}

/** enum nft_cmp_ops: eq, neq, lt, lte, gt, gte. */
type Comparison = { readonly level: Level; readonly value: Value }

/** Compares by an operator of enum nft_cmp_ops; gives what is known of the value where the comparison holds, too. */
export function compared(value: Value, op: number, data: Uint8Array): Comparison {
  if (op === 1) return { level: opposite(equals(value, data)), value }
  if (op === 0) return { level: equals(value, data), value }
  if (value.kind === 'port' && data.length === 2) {
    const port = (data[0]! << 8) | data[1]!
    const range = {
      low: [4, 5].includes(op) ? port + (op === 4 ? 1 : 0) : 0,
      high: [2, 3].includes(op) ? port - (op === 2 ? 1 : 0) : 0xffff,
    }
    return narrowed(value, range)
  }
  if (value.kind === 'bits' && isWhole(value.known, data.length)) {
    const sign = Buffer.compare(value.bytes.subarray(0, data.length), data)
    const holds = op === 2 ? sign < 0 : op === 3 ? sign <= 0 : op === 4 ? sign > 0 : sign >= 0
    return { level: holds ? 'all' : 'none', value }
  }
  return { level: 'maybe', value }
}

/** Whether the value lies in a range, both ends included. */
export function inRange(value: Value, from: Uint8Array, to: Uint8Array): Comparison {
  const atLeast = compared(value, 5, from)
  const atMost = compared(atLeast.value, 3, to)
  if (value.kind === 'port') return atMost
  return { level: atLeast.level === 'all' ? atMost.level : atLeast.level, value }
}

/** A range of at least half of all ports may be meant for all packets, a smaller one is for some services. */
function narrowed(value: Value & { kind: 'port' }, { low, high }: { low: number; high: number }): Comparison {
  const narrow = { kind: 'port', low: Math.max(low, value.low), high: Math.min(high, value.high) } as const
  const count = narrow.high - narrow.low + 1
  return { level: count <= 0 ? 'none' : count > 0xffff ? 'all' : count > 0x7fff ? 'maybe' : 'some', value: narrow }
}

const isWhole = (known: Uint8Array, length: number): boolean => known.subarray(0, length).every((each) => each === 0xff)

/** How many of the packets have `data` as the value. */
export function equals(value: Value, data: Uint8Array): Level {
  switch (value.kind) {
    case 'bits': {
      if (data.length > value.bytes.length) return 'maybe'
      const differs = data.some((each, index) => ((each ^ value.bytes[index]!) & value.known[index]!) !== 0)
      return differs ? 'none' : isWhole(value.known, data.length) ? 'all' : 'maybe'
    }
    case 'addr':
      return equalsAddr(value, data)
    case 'port':
      return data.length === 2 ? 'some' : 'maybe'
    case 'underlay':
      return isLoopback(value.of, data) ? 'none' : 'maybe'
    case 'unknown':
      return 'maybe'
    default:
      return value satisfies never
  }
}

function isLoopback(of: 'name' | 'index', data: Uint8Array): boolean {
  if (of === 'index') return data.length === 4 && new Uint32Array(data.slice().buffer)[0] === loopback.index
  return new TextDecoder().decode(data).replaceAll('\0', '') === loopback.name
}

function equalsAddr({ family, among, mask }: Value & { kind: 'addr' }, data: Uint8Array): Level {
  const length = prefixLength(mask)
  if (length === undefined || data.length !== mask.length) return 'maybe'
  const bytes = new Uint8Array(family === 4 ? 4 : 16)
  bytes.set(data)
  const first = Addr.fromBytes(bytes).value
  const size = 1n << BigInt(bytes.length * 8 - length)
  return levelOfRanges(among, [{ first, last: first + size - 1n }])
}

/** The length of a mask that has its ones at the front; undefined for any other. */
function prefixLength(mask: Uint8Array): number | undefined {
  let length = 0
  while (length < mask.length * 8 && (mask[length >> 3]! & (0x80 >> (length & 7))) !== 0) length++
  const rest = mask.subarray(length >> 3)
  const isRestZero = rest.every((each, index) => (index === 0 ? each & (0xff >> (length & 7)) : each) === 0)
  return isRestZero ? length : undefined
}
