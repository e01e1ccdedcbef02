// What a sighting's bytes say: the packet that the probe's sender meant, through how many headers it travels, and what an answer says. Bytes may end
// anywhere, and may be anything: what cannot be read is undefined.
import { Addr } from '#/lib/addr.ts'
import { viewOf } from '#/lib/bytes.ts'
import { isIcmpError, portUnreachable } from '#/wire/icmp/types.ts'
import { readIpPacket, tcpFlags } from '#/wire/ip/packet.ts'

type Icmp = {
  readonly type: number
  readonly code: number
  /** Of an echo. */
  readonly id: number
  readonly seq: number
  /** Of an error about a packet that is too large. */
  readonly mtuBytes: number
}

export type Packet = {
  readonly src: Addr
  readonly dst: Addr
  readonly protocol: number
  readonly sourcePort?: number
  readonly port?: number
  readonly tcpFlags?: number
  readonly icmp?: Icmp
  /** Of an ICMP error: the packet that it is about. */
  readonly quoted?: Packet
  /** With its IP header, as that says. */
  readonly lengthBytes: number
  readonly hops: number
}

/** The outer packet of a tunnel and what it carries. */
export type Tunnel = { readonly src: Addr; readonly dst: Addr; readonly port: number; readonly vni: number }

export type ReadPacket = {
  readonly packet: Packet
  /** From the outermost. */
  readonly tunnels: readonly Tunnel[]
  readonly macs?: { readonly src: string; readonly dst: string }
}

const ethernetHeaderBytes = 14
const vlanTypes: readonly number[] = [0x8100, 0x88a8]
const ipTypes: readonly number[] = [0x0800, 0x86dd]
const udp = 17
const icmpNumbers = { 4: 1, 6: 58 } as const
const udpHeaderBytes = 8
const vxlanHeaderBytes = 8
/** More of them are no packet that anybody means. */
const mostTunnels = 3

/** What is behind the Ethernet header, and its VLAN tags; undefined when that is no IP. */
function ipIn(frame: Uint8Array): Uint8Array | undefined {
  let at = ethernetHeaderBytes - 2
  while (frame.length >= at + 6 && vlanTypes.includes(viewOf(frame).getUint16(at))) at += 4
  if (frame.length < at + 2 || !ipTypes.includes(viewOf(frame).getUint16(at))) return undefined
  return frame.subarray(at + 2)
}

/** Where the header behind IP begins. Packets of a trace have no extension headers, or they are not read further. */
function transportIn(ip: Uint8Array): Uint8Array {
  return (ip[0] ?? 0) >> 4 === 4 ? ip.subarray(Math.max(20, (ip[0]! & 0x0f) * 4)) : ip.subarray(40)
}

/**
 * The frame in a VXLAN packet. It is known by its form, since ports are configured: the header's reserved bits are 0 (RFC 7348 section 5),
 * and an Ethernet frame of IP follows.
 */
function vxlanIn(
  transport: Uint8Array,
): { readonly vni: number; readonly port: number; readonly frame: Uint8Array } | undefined {
  const vxlan = transport.subarray(udpHeaderBytes)
  if (vxlan.length < vxlanHeaderBytes + ethernetHeaderBytes + 20) return undefined
  const view = viewOf(vxlan)
  if (view.getUint32(0) !== 0x0800_0000 || view.getUint8(7) !== 0) return undefined
  const frame = vxlan.subarray(vxlanHeaderBytes)
  if (ipIn(frame) === undefined) return undefined
  return { vni: view.getUint32(4) >>> 8, port: viewOf(transport).getUint16(2), frame }
}

function icmpIn(transport: Uint8Array): Icmp | undefined {
  if (transport.length < 8) return undefined
  const view = viewOf(transport)
  return {
    type: view.getUint8(0),
    code: view.getUint8(1),
    id: view.getUint16(4),
    seq: view.getUint16(6),
    // of IPv6 all four bytes are it
    mtuBytes: view.getUint16(6),
  }
}

function packetIn(ip: Uint8Array, isQuoted = false): Packet | undefined {
  const read = readIpPacket(ip)
  if (read === undefined) return undefined
  const { src, dst, protocol, sourcePort, port, tcp } = read
  const transport = transportIn(ip)
  const icmp = protocol === icmpNumbers[src.family] ? icmpIn(transport) : undefined
  const isError = icmp !== undefined && isIcmpError(src.family, icmp.type)
  const quoted = isError && !isQuoted ? packetIn(transport.subarray(8), true) : undefined
  const view = viewOf(ip)
  return {
    src,
    dst,
    protocol,
    lengthBytes: src.family === 4 ? view.getUint16(2) : view.getUint16(4) + 40,
    hops: ip[src.family === 4 ? 8 : 7]!,
    ...(sourcePort !== undefined && { sourcePort }),
    ...(port !== undefined && { port }),
    ...(tcp && { tcpFlags: tcp.flags }),
    ...(icmp && { icmp }),
    ...(quoted && { quoted }),
  }
}

const macText = (bytes: Uint8Array): string => [...bytes].map((each) => each.toString(16).padStart(2, '0')).join(':')

/** Reads a packet through the tunnels in which it travels. */
export function readPacket(bytes: Uint8Array, startsAt: 'link' | 'network'): ReadPacket | undefined {
  let ip = startsAt === 'link' ? ipIn(bytes) : bytes
  const macs =
    startsAt === 'link' && bytes.length >= ethernetHeaderBytes
      ? { src: macText(bytes.subarray(6, 12)), dst: macText(bytes.subarray(0, 6)) }
      : undefined
  const tunnels: Tunnel[] = []
  for (;;) {
    const packet = ip && packetIn(ip)
    if (ip === undefined || packet === undefined) return undefined
    const inner = packet.protocol === udp && packet.port !== undefined ? vxlanIn(transportIn(ip)) : undefined
    if (inner === undefined || tunnels.length === mostTunnels) return { packet, tunnels, ...(macs && { macs }) }
    const { src, dst } = packet
    tunnels.push({ src, dst, port: inner.port, vni: inner.vni })
    ip = ipIn(inner.frame)
  }
}

/** What came back, as far as it says whether the probe has arrived. */
export type AnswerKind =
  /** An echo reply, a SYN with ACK, or a datagram. */
  | { readonly kind: 'answer' }
  /** The other end has the address, and nothing listens at the port. */
  | { readonly kind: 'closed'; readonly by: Addr }
  /** Somebody on the way, or the other end, refuses the packet. */
  | {
      readonly kind: 'refused'
      readonly by: Addr
      readonly type: number
      readonly code: number
      readonly mtuBytes: number
    }

/** What a packet says that came back. */
export function answerKind(packet: Packet): AnswerKind {
  const { src, icmp, quoted, tcpFlags: flags = 0 } = packet
  if ((flags & tcpFlags.RST) !== 0) return { kind: 'closed', by: src }
  if (icmp === undefined || !isIcmpError(src.family, icmp.type)) return { kind: 'answer' }
  const { type, code, mtuBytes } = icmp
  const unreachable = portUnreachable[src.family]
  const isOfPort = type === unreachable.type && code === unreachable.code
  // a firewall may say the same in the name of itself
  if (isOfPort && (quoted === undefined || quoted.dst.equals(src))) return { kind: 'closed', by: src }
  return { kind: 'refused', by: src, type, code, mtuBytes }
}
