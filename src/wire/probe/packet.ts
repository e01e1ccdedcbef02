// The packets by which a way is tried out: a whole IP packet with an ICMP echo request, a UDP datagram or the SYN of a TCP connection in it.
// It looks like any other of its kind: what recognises it is inside, and no mark, option or class of traffic changes how it is treated.
import { type Addr } from '#/lib/addr.ts'
import { viewOf } from '#/lib/bytes.ts'
import { internetChecksum } from '#/lib/internet-checksum.ts'
import { type TraceProtocol } from '../bpf/trace-words.ts'
import { echoRequest } from '../icmp/types.ts'

/** The length of what begins the payload of ICMP and UDP, and by which the packet is recognised. */
export const cookieBytes = 8

export type ProbePacket = {
  readonly src: Addr
  readonly dst: Addr
  /** Of the whole IP packet. Without it, 64 bytes of ICMP as of ping(8), 12 bytes in UDP, and the shortest of TCP. */
  readonly sizeBytes?: number
  /** No router may cut the packet into fragments: always so with IPv6. */
  readonly isWhole: boolean
} & (
  | { readonly protocol: 'icmp'; readonly id: number; readonly seq: number; readonly cookie: Uint8Array }
  | {
      readonly protocol: 'udp'
      readonly sourcePort: number
      readonly port: number
      readonly cookie: Uint8Array
    }
  | { readonly protocol: 'tcp'; readonly sourcePort: number; readonly port: number; readonly seq: number }
)

const protocolNumbers = { icmp: { 4: 1, 6: 58 }, udp: { 4: 17, 6: 17 }, tcp: { 4: 6, 6: 6 } } as const
const ipHeaderBytes = { 4: 20, 6: 40 } as const
const echoHeaderBytes = 8
/** As ping(8) sends. */
const echoPayloadBytes = 56
const udpHeaderBytes = 8
/** The header of a DNS message (RFC 1035 section 4.1.1): servers drop what is shorter, and answer a query that ends there with an error. */
const udpPayloadBytes = 12
const tcpHeaderBytes = 20
const tcpOptionsBytes = 8
const hops = 64
const dontFragment = 0x4000
const synFlag = 0x02
const tcpWindow = 64_240
/** Of a link of 1,500 bytes, as a kernel of such a link tells it. */
const tcpSegmentBytes = { 4: 1460, 6: 1440 } as const

export function protocolNumber(protocol: TraceProtocol, family: Addr['family']): number {
  return protocolNumbers[protocol][family]
}

/** The sizes that a packet of this kind can have. */
export function sizesOf(
  protocol: TraceProtocol,
  family: Addr['family'],
): { readonly least: number; readonly most: number } {
  const header = { icmp: echoHeaderBytes, udp: udpHeaderBytes, tcp: tcpHeaderBytes + tcpOptionsBytes }[protocol]
  const payload = protocol === 'tcp' ? 0 : cookieBytes
  const most = family === 4 ? 65_535 : 65_535 + ipHeaderBytes[6]
  return { least: ipHeaderBytes[family] + header + payload, most }
}

function echo(packet: ProbePacket & { readonly protocol: 'icmp' }, into: Uint8Array): void {
  const view = viewOf(into)
  view.setUint8(0, echoRequest[packet.src.family])
  view.setUint16(4, packet.id)
  view.setUint16(6, packet.seq)
  into.set(packet.cookie.subarray(0, cookieBytes), echoHeaderBytes)
}

function datagram(packet: ProbePacket & { readonly protocol: 'udp' }, into: Uint8Array): void {
  const view = viewOf(into)
  view.setUint16(0, packet.sourcePort)
  view.setUint16(2, packet.port)
  view.setUint16(4, into.length)
  into.set(packet.cookie.subarray(0, cookieBytes), udpHeaderBytes)
}

function syn(packet: ProbePacket & { readonly protocol: 'tcp' }, into: Uint8Array): void {
  const view = viewOf(into)
  view.setUint16(0, packet.sourcePort)
  view.setUint16(2, packet.port)
  view.setUint32(4, packet.seq)
  view.setUint8(12, ((tcpHeaderBytes + tcpOptionsBytes) / 4) << 4)
  view.setUint8(13, synFlag)
  view.setUint16(14, tcpWindow)
  // the largest segment (RFC 9293 section 3.7.1), and that lost segments may be told one by one (RFC 2018)
  into.set([2, 4], tcpHeaderBytes)
  view.setUint16(tcpHeaderBytes + 2, tcpSegmentBytes[packet.src.family])
  into.set([4, 2, 1, 1], tcpHeaderBytes + 4)
}

const checksumAt = { icmp: 2, udp: 6, tcp: 16 } as const

/** The checksum over the pseudo header of RFC 9293 section 3.1 and RFC 8200 section 8.1, and `bytes`. */
function checksumOf(packet: ProbePacket, bytes: Uint8Array): number {
  const { src, dst, protocol } = packet
  const { family } = src
  if (protocol === 'icmp' && family === 4) return internetChecksum(bytes)
  const addrBytes = src.bits / 8
  const all = new Uint8Array(2 * addrBytes + 8 + bytes.length)
  const view = viewOf(all)
  all.set(src.toBytes())
  all.set(dst.toBytes(), addrBytes)
  view.setUint32(2 * addrBytes, bytes.length)
  view.setUint32(2 * addrBytes + 4, protocolNumber(protocol, family))
  all.set(bytes, 2 * addrBytes + 8)
  return internetChecksum(all)
}

function ipHeader({ src, dst, protocol, isWhole }: ProbePacket, into: Uint8Array, packetId: number): void {
  const view = viewOf(into)
  if (src.family === 4) {
    view.setUint8(0, 0x45)
    view.setUint16(2, into.length)
    view.setUint16(4, packetId)
    view.setUint16(6, isWhole ? dontFragment : 0)
    view.setUint8(8, hops)
    view.setUint8(9, protocolNumber(protocol, 4))
    into.set(src.toBytes(), 12)
    into.set(dst.toBytes(), 16)
    view.setUint16(10, internetChecksum(into.subarray(0, ipHeaderBytes[4])))
    return
  }
  view.setUint8(0, 0x60)
  view.setUint16(4, into.length - ipHeaderBytes[6])
  view.setUint8(6, protocolNumber(protocol, 6))
  view.setUint8(7, hops)
  into.set(src.toBytes(), 8)
  into.set(dst.toBytes(), 24)
}

function usualBytes(protocol: TraceProtocol, family: Addr['family']): number {
  const usual = {
    icmp: echoHeaderBytes + echoPayloadBytes,
    udp: udpHeaderBytes + udpPayloadBytes,
    tcp: tcpHeaderBytes + tcpOptionsBytes,
  }
  return ipHeaderBytes[family] + usual[protocol]
}

/** `packetId` identifies an IPv4 packet among others of the same ends. Throws RangeError for a size that such a packet cannot have. */
export function encodeProbe(packet: ProbePacket, packetId: number): Uint8Array {
  const { family } = packet.src
  const { least, most } = sizesOf(packet.protocol, family)
  const { sizeBytes = usualBytes(packet.protocol, family) } = packet
  if (sizeBytes < least || sizeBytes > most) throw new RangeError(`a packet of ${sizeBytes} bytes`)
  const bytes = new Uint8Array(sizeBytes)
  const payload = bytes.subarray(ipHeaderBytes[family])
  if (packet.protocol === 'icmp') echo(packet, payload)
  else if (packet.protocol === 'udp') datagram(packet, payload)
  else syn(packet, payload)
  const checksum = checksumOf(packet, payload)
  // 0 would say that a datagram has none (RFC 768)
  viewOf(payload).setUint16(
    checksumAt[packet.protocol],
    checksum === 0 && packet.protocol === 'udp' ? 0xffff : checksum,
  )
  ipHeader(packet, bytes, packetId)
  return bytes
}
