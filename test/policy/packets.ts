// First packets of connections, made byte by byte: a SYN of TCP, a datagram of UDP, an INIT of SCTP, an echo request.
import { type Addr } from '#/lib/addr.ts'
import { internetChecksum } from '#/lib/internet-checksum.ts'

export const protocolNumbers = { tcp: 6, udp: 17, sctp: 132, icmp: 1 } as const
export type ProtocolName = keyof typeof protocolNumbers
const icmpv6 = 58

/**
 * `token` marks the packet: it is the identification of an IPv4 header and the flow label of an IPv6 one, which masquerade leaves alone, and
 * the source port or the identifier of an echo request, so that connection tracking takes each packet for a connection of its own.
 */
export type FirstPacket = {
  readonly src: Addr
  readonly dst: Addr
  readonly protocol: ProtocolName
  readonly port: number
  readonly token: number
}

/** Its IP protocol number. */
export function numberOf(protocol: ProtocolName, { family }: Addr): number {
  return protocol === 'icmp' && family === 6 ? icmpv6 : protocolNumbers[protocol]
}

const crcTable = Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
  return value >>> 0
})

/** CRC32c, RFC 9260 appendix A. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff
  for (const byte of bytes) crc = (crcTable[(crc ^ byte) & 0xff]! ^ (crc >>> 8)) >>> 0
  return ~crc >>> 0
}

function messageOf({ protocol, port, token, dst }: FirstPacket): Uint8Array {
  const bytes = new Uint8Array({ tcp: 20, udp: 12, sctp: 32, icmp: 8 }[protocol])
  const view = new DataView(bytes.buffer)
  if (protocol === 'icmp') {
    bytes[0] = dst.family === 4 ? 8 : 128
    view.setUint16(4, token)
    return bytes
  }
  view.setUint16(0, token)
  view.setUint16(2, port)
  if (protocol === 'tcp') {
    view.setUint32(4, 1)
    view.setUint16(12, 0x5002)
    view.setUint16(14, 0xffff)
  } else if (protocol === 'udp') {
    view.setUint16(4, bytes.length)
  } else {
    // an INIT chunk, RFC 9260 section 3.3.2
    view.setUint8(12, 1)
    view.setUint16(14, 20)
    view.setUint32(16, token)
    view.setUint32(20, 0xffff)
    view.setUint16(24, 1)
    view.setUint16(26, 1)
    view.setUint32(28, 1)
  }
  return bytes
}

function addrBytes(addr: Addr): Uint8Array {
  const bytes = new Uint8Array(addr.family === 4 ? 4 : 16)
  let { value } = addr
  for (let index = bytes.length - 1; index >= 0; index--, value >>= 8n) bytes[index] = Number(value & 0xffn)
  return bytes
}

function seal(packet: FirstPacket, message: Uint8Array): void {
  const { src, dst, protocol } = packet
  const view = new DataView(message.buffer)
  if (protocol === 'sctp') return view.setUint32(8, crc32c(message), true)
  const pseudo = new Uint8Array(4)
  new DataView(pseudo.buffer).setUint16(0, message.length)
  pseudo[3] = numberOf(protocol, dst)
  const parts =
    protocol === 'icmp' && dst.family === 4
      ? [message]
      : [addrBytes(src), addrBytes(dst), pseudo.subarray(0, 2), Uint8Array.of(0, pseudo[3]), message]
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    all.set(part, offset)
    offset += part.length
  }
  view.setUint16({ tcp: 16, udp: 6, icmp: 2 }[protocol], internetChecksum(all))
}

/** No kernel sends packets of its own with as many hops: so answers are told apart. */
const firstHops = 200
const fewestHops = 190

/** The IP packet. The kernel fills in the checksum of an IPv4 header that a raw socket sends. */
export function encodeFirstPacket(packet: FirstPacket): Uint8Array {
  const { src, dst, protocol } = packet
  const message = messageOf(packet)
  seal(packet, message)
  const header = new Uint8Array(dst.family === 4 ? 20 : 40)
  const view = new DataView(header.buffer)
  if (dst.family === 4) {
    view.setUint8(0, 0x45)
    view.setUint16(2, header.length + message.length)
    view.setUint16(4, packet.token)
    view.setUint8(8, firstHops)
    view.setUint8(9, numberOf(protocol, dst))
    header.set(addrBytes(src), 12)
    header.set(addrBytes(dst), 16)
  } else {
    view.setUint32(0, (0x6000_0000 | packet.token) >>> 0)
    view.setUint16(4, message.length)
    view.setUint8(6, numberOf(protocol, dst))
    view.setUint8(7, firstHops)
    header.set(addrBytes(src), 8)
    header.set(addrBytes(dst), 24)
  }
  const bytes = new Uint8Array(header.length + message.length)
  bytes.set(header)
  bytes.set(message, header.length)
  return bytes
}

/** The token of a first packet to one of these addresses, in an Ethernet frame; undefined for any other frame. */
export function tokenOf(frame: Uint8Array, isOwn: (addr: string) => boolean): number | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length)
  if (frame.length < 34) return undefined
  const type = view.getUint16(12)
  if (type !== 0x0800 && type !== 0x86dd) return undefined
  const isIpv4 = type === 0x0800
  const start = 14 + (isIpv4 ? 20 : 40)
  if (frame.length < start + 8) return undefined
  const dst = frame.subarray(isIpv4 ? 30 : 38, start)
  if (view.getUint8(isIpv4 ? 22 : 21) < fewestHops || !isOwn(Buffer.from(dst).toString('hex'))) return undefined
  return isIpv4 ? view.getUint16(18) : view.getUint32(14) & 0xfffff
}

export function addrKey(addr: Addr): string {
  return Buffer.from(addrBytes(addr)).toString('hex')
}
