// The first bytes of a packet in one line, for events of watched packets: addresses, ports, flags, and what is in the tunnel. Pure.
import { Addr } from '#/lib/addr.ts'
import { viewOf } from '#/lib/bytes.ts'
import { macText } from '../ethernet/mac.ts'

const ETH_HLEN = 14
const ETH_P_IP = 0x0800
const ETH_P_ARP = 0x0806
const ETH_P_IPV6 = 0x86dd
const ipv6HeaderBytes = 40
const udpHeaderBytes = 8
const vxlanHeaderBytes = 8
const vxlanHasVni = 0x08
const transports: Readonly<Record<number, string>> = { 1: 'ICMP', 6: 'TCP', 17: 'UDP', 58: 'ICMPv6', 132: 'SCTP' }
/** As tcpdump(8) writes them, from the lowest bit on. */
const tcpFlags = ['F', 'S', 'R', 'P', '.', 'U'] as const

/** Where the bytes ended before what was to be read. */
class TooShort extends Error {}

function need(bytes: Uint8Array, length: number): void {
  if (bytes.length < length) throw new TooShort()
}

/** An IPv6 address in brackets where a port follows. */
function endText(addr: Addr, port: number | undefined): string {
  if (port === undefined) return String(addr)
  return addr.family === 6 ? `[${addr}]:${port}` : `${addr}:${port}`
}

type Ip = {
  readonly src: Addr
  readonly dst: Addr
  readonly protocol: number
  readonly hops: number
  /** What is behind the header; undefined in a later fragment, where ports are not to be found. */
  readonly payload: Uint8Array | undefined
  readonly isFragment: boolean
}

function readIpv4(bytes: Uint8Array): Ip {
  need(bytes, 20)
  const view = viewOf(bytes)
  const headerBytes = (bytes[0]! & 0x0f) * 4
  const fragment = view.getUint16(6)
  return {
    src: Addr.fromBytes(bytes.subarray(12, 16)),
    dst: Addr.fromBytes(bytes.subarray(16, 20)),
    protocol: bytes[9]!,
    hops: bytes[8]!,
    payload: (fragment & 0x1fff) === 0 ? bytes.subarray(Math.max(headerBytes, 20)) : undefined,
    isFragment: (fragment & 0x3fff) !== 0,
  }
}

function readIpv6(bytes: Uint8Array): Ip {
  need(bytes, ipv6HeaderBytes)
  return {
    src: Addr.fromBytes(bytes.subarray(8, 24)),
    dst: Addr.fromBytes(bytes.subarray(24, 40)),
    protocol: bytes[6]!,
    hops: bytes[7]!,
    payload: bytes.subarray(ipv6HeaderBytes),
    isFragment: bytes[6] === 44,
  }
}

function tcpText(payload: Uint8Array): string {
  if (payload.length < 16) return ''
  const view = viewOf(payload)
  const flags = tcpFlags.filter((_, bit) => (payload[13]! & (1 << bit)) !== 0).join('')
  return ` [${flags}] seq ${view.getUint32(4)} ack ${view.getUint32(8)}`
}

function innerOf(payload: Uint8Array, vxlanPort: number): Uint8Array | undefined {
  if (payload.length < udpHeaderBytes + vxlanHeaderBytes || viewOf(payload).getUint16(2) !== vxlanPort) return undefined
  const vxlan = payload.subarray(udpHeaderBytes)
  return vxlan[0] === vxlanHasVni ? vxlan.subarray(vxlanHeaderBytes) : undefined
}

function ipText(ip: Ip, vxlanPort: number): string {
  const { src, dst, protocol, hops, payload, isFragment } = ip
  const name = transports[protocol] ?? `protocol ${protocol}`
  const hasPorts = (protocol === 6 || protocol === 17 || protocol === 132) && payload !== undefined
  if (hasPorts && payload.length < 4) return `${name} ${src} > ${dst}, hops ${hops}, the rest was not kept`
  const ports = hasPorts ? [viewOf(payload).getUint16(0), viewOf(payload).getUint16(2)] : []
  const inner = protocol === 17 && payload ? innerOf(payload, vxlanPort) : undefined
  const ends = `${endText(src, ports[0])} > ${endText(dst, ports[1])}`
  if (inner) return `tunnel ${src} > ${dst}: ${frameText(inner, vxlanPort)}`
  const type = (protocol === 1 || protocol === 58) && payload && payload.length > 0 ? ` type ${payload[0]}` : ''
  const flags = protocol === 6 && payload ? tcpText(payload) : ''
  return `${name} ${ends}${type}${flags}${isFragment ? ', fragment' : ''}, hops ${hops}`
}

function arpText(bytes: Uint8Array): string {
  need(bytes, 28)
  const [sender, target] = [Addr.fromBytes(bytes.subarray(14, 18)), Addr.fromBytes(bytes.subarray(24, 28))]
  const isRequest = viewOf(bytes).getUint16(6) === 1
  return isRequest ? `ARP who has ${target}, tell ${sender}` : `ARP ${sender} is at ${macText(bytes.subarray(8, 14))}`
}

function frameText(bytes: Uint8Array, vxlanPort: number): string {
  need(bytes, ETH_HLEN)
  const type = viewOf(bytes).getUint16(12)
  const rest = bytes.subarray(ETH_HLEN)
  if (type === ETH_P_IP) return ipText(readIpv4(rest), vxlanPort)
  if (type === ETH_P_IPV6) return ipText(readIpv6(rest), vxlanPort)
  if (type === ETH_P_ARP) return arpText(rest)
  return `ethertype 0x${type.toString(16).padStart(4, '0')}, ${macText(bytes.subarray(6, 12))} > ${macText(bytes.subarray(0, 6))}`
}

/** The frame as far as its bytes were kept. `vxlanPort`: the port of the tunnel. */
export function packetWords(bytes: Uint8Array, vxlanPort: number): string {
  try {
    return frameText(bytes, vxlanPort)
  } catch (error) {
    if (error instanceof TooShort) return `a frame of which only ${bytes.length} bytes were kept`
    throw error
  }
}
