// The headers of a packet in words, and what became of them from one hop to the next.
import { type Addr } from '#/lib/addr.ts'
import { icmpWords } from '#/wire/icmp/types.ts'
import { tcpFlags } from '#/wire/ip/packet.ts'
import { type Packet, type ReadPacket, type Tunnel } from './packet.ts'

const protocols: Readonly<Record<number, string>> = { 6: 'TCP', 17: 'UDP', 132: 'SCTP' }

function end(addr: Addr, port: number | undefined): string {
  if (port === undefined) return String(addr)
  return addr.family === 6 ? `[${addr}]:${port}` : `${addr}:${port}`
}

const flagNames = Object.entries(tcpFlags)

function kind({ src: { family }, protocol, icmp, tcpFlags: flags }: Packet): string {
  if (icmp !== undefined) {
    const words = icmpWords(family, icmp.type, icmp.code) ?? `type ${icmp.type} code ${icmp.code}`
    return `ICMP ${words}`
  }
  if (protocol !== 6 || flags === undefined) return protocols[protocol] ?? `protocol ${protocol}`
  return ['TCP', ...flagNames.filter(([, bit]) => (flags & bit) !== 0).map(([name]) => name)].join(' ')
}

/** "ICMP echo request 10.244.1.2 → 10.244.2.2" */
export function packetText(packet: Packet): string {
  const { src, dst, sourcePort, port } = packet
  return `${kind(packet)} ${end(src, sourcePort)} → ${end(dst, port)}`
}

function tunnelText({ src, dst, port, vni }: Tunnel): string {
  return `in VXLAN ${vni}: ${src} → ${dst} UDP ${port}`
}

function movedText(before: Packet, now: Packet): string[] {
  const ends = [
    ['source', end(before.src, before.sourcePort), end(now.src, now.sourcePort)],
    ['destination', end(before.dst, before.port), end(now.dst, now.port)],
  ] as const
  return ends.flatMap(([name, was, is]) => (was === is ? [] : [`${name} ${was} → ${is}`]))
}

/** What is other than at the hop before; '' when it is the same packet in the same headers. Without one before, all of it. */
export function headersText(now: ReadPacket, before?: ReadPacket): string {
  const tunnel = now.tunnels.map(tunnelText).join(', ')
  if (before === undefined) return [packetText(now.packet), tunnel].filter(Boolean).join(', ')
  const was = before.tunnels.map(tunnelText).join(', ')
  const isNew = kind(before.packet) !== kind(now.packet)
  return [
    ...(isNew ? [packetText(now.packet)] : movedText(before.packet, now.packet)),
    ...(tunnel === was ? [] : [tunnel === '' ? 'out of the tunnel' : tunnel]),
  ].join(', ')
}
