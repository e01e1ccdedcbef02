// The packets by which connection tracking knows what a trace left in it.
import { type TrackedPacket } from '#/wire/netlink/conntrack.ts'
import { type Packet, readPacket } from './packet.ts'
import { type Sighting } from './types.ts'

const tcp = 6
const udp = 17
const icmp = { 4: 1, 6: 58 } as const

/** Undefined for a packet that begins no entry. */
function trackedOf({ protocol, src, dst, sourcePort, port, icmp: echo }: Packet): TrackedPacket | undefined {
  if (protocol === icmp[src.family] && echo !== undefined)
    return { protocol, src, dst, icmp: { id: echo.id, type: echo.type } }
  if ((protocol !== tcp && protocol !== udp) || sourcePort === undefined || port === undefined) return undefined
  return { protocol, src, dst, ports: { src: sourcePort, dst: port } }
}

/** Each packet once, as it was at some place: before a translation and after it. An ICMP error belongs to the entry of what it quotes. */
export function trackedPackets(sightings: readonly Pick<Sighting, 'bytes' | 'startsAt'>[]): TrackedPacket[] {
  const found = new Map<string, TrackedPacket>()
  for (const { bytes, startsAt } of sightings) {
    const read = readPacket(Uint8Array.fromHex(bytes), startsAt)
    const tracked = read && trackedOf(read.packet.quoted ?? read.packet)
    if (tracked) found.set(JSON.stringify({ ...tracked, src: String(tracked.src), dst: String(tracked.dst) }), tracked)
  }
  return [...found.values()]
}
