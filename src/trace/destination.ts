// Which probe a sighting is of, and where that went in the end: addresses of Services and host ports are translated on the way.
import { type Addr } from '#/lib/addr.ts'
import { readPacket } from './packet.ts'
import { type Sighting } from './types.ts'

/** Whether it is of the echo with this number, or of no echo at all: several may be sent one after another. */
export function isOfEcho({ bytes, startsAt }: Sighting, seq: number): boolean {
  const packet = readPacket(Uint8Array.fromHex(bytes), startsAt)?.packet
  const icmp = (packet?.quoted ?? packet)?.icmp
  return icmp === undefined || icmp.seq === seq
}

/** The destination that the probe had where it was seen last; undefined when it was not seen, or not readable. */
export function lastDestination(sightings: readonly Sighting[]): Addr | undefined {
  const probes = sightings.filter(({ role, place }) => role === 'probe' && place !== 'drop')
  // a node that translates it is the sender's or the receiver's: on each, the later sighting is the one behind the translation
  const last = probes.toSorted((a, b) => a.timeMs - b.timeMs).at(-1)
  return last && readPacket(Uint8Array.fromHex(last.bytes), last.startsAt)?.packet.dst
}
