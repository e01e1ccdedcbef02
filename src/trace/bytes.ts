// The bytes of sightings: taken apart for people, and as a file of captured packets.
import { viewOf } from '#/lib/bytes.ts'
import { decodeFrame, type Layer } from '#/wire/frames/decode.ts'
import { type CapturedPacket, encodePcapng } from '#/wire/frames/pcapng.ts'
import { readPacket } from './packet.ts'
import { kernelWords } from './reasons.ts'
import { type Sighting } from './types.ts'

const bytesPerLine = 16
const nanosecondsPerMs = 1_000_000
const ethernetHeaderBytes = 14
/** Of what a packet carries, as much as a probe is recognised by: whoever asks for that knows it. */
const shownPayloadBytes = 8
const etherTypes = { 4: 0x0800, 6: 0x86dd } as const

/** The headers of a packet. The tunnel's port is found by what is behind it. */
export function layersOf({ bytes, startsAt }: Pick<Sighting, 'bytes' | 'startsAt'>): Layer[] {
  const all = Uint8Array.fromHex(bytes)
  const vxlanPort = readPacket(all, startsAt)?.tunnels[0]?.port
  return decodeFrame(all, startsAt, vxlanPort === undefined ? {} : { vxlanPort })
}

/**
 * The bytes but for what the packet carries. What a probe is recognised by is chosen by who asks, and may be in packets of others: these are told
 * without what only their ends are to know.
 */
export function withoutPayload(bytes: Uint8Array, startsAt: 'link' | 'network'): Uint8Array {
  const last = layersOf({ bytes: bytes.toHex(), startsAt }).at(-1)
  if (last === undefined) return bytes.subarray(0, 0)
  const shownBytes = last.name === 'payload' ? Math.min(last.lengthBytes, shownPayloadBytes) : last.lengthBytes
  return bytes.subarray(0, last.offset + shownBytes)
}

function layerLine({ name, offset, fields, isQuoted, isCut }: Layer): string {
  const texts = fields.map((field) => `${field.name} ${field.text}`)
  const notes = [isQuoted ? 'quoted' : '', isCut ? 'cut off' : ''].filter(Boolean)
  return `  ${name}${notes.length > 0 ? ` (${notes.join(', ')})` : ''} at ${offset}: ${texts.join(', ')}`
}

function hexLines(bytes: Uint8Array): string[] {
  return Array.from({ length: Math.ceil(bytes.length / bytesPerLine) }, (_, line) => {
    const part = bytes.subarray(line * bytesPerLine, (line + 1) * bytesPerLine)
    const hex = [...part].map((each) => each.toString(16).padStart(2, '0')).join(' ')
    return `  ${(line * bytesPerLine).toString(16).padStart(4, '0')}  ${hex}`
  })
}

/** Each header with its fields, and then the bytes. */
export function dumpLines(sighting: Sighting): string[] {
  return [...layersOf(sighting).map(layerLine), ...hexLines(Uint8Array.fromHex(sighting.bytes))]
}

/** A header for a packet that has none where it was seen: files for tcpdump(8) are of one kind. */
function withLinkHeader(packet: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(ethernetHeaderBytes + packet.length)
  viewOf(bytes).setUint16(12, packet[0]! >> 4 === 6 ? etherTypes[6] : etherTypes[4])
  bytes.set(packet, ethernetHeaderBytes)
  return bytes
}

const directions = { receive: 'in', read: 'in', queue: 'out', transmit: 'out' } as const

function captured(sighting: Sighting): CapturedPacket {
  const { node, pod, device = '', place, startsAt, timeMs, lengthBytes, drop, role } = sighting
  const own = Uint8Array.fromHex(sighting.bytes)
  const isLink = startsAt === 'link'
  const wholeMs = Math.floor(timeMs)
  const words = [
    place,
    role === 'probe' ? '' : role,
    drop ? kernelWords(drop) : '',
    isLink ? '' : 'without a link header here: that of the file is made up',
  ]
  return {
    interfaceName: [node, pod, device].filter(Boolean).join('/'),
    startsAt: 'link',
    // of a number of milliseconds since 1970 the last digits of nanoseconds are not exact
    timeNs: BigInt(wholeMs) * BigInt(nanosecondsPerMs) + BigInt(Math.round((timeMs - wholeMs) * nanosecondsPerMs)),
    lengthBytes: isLink ? lengthBytes : lengthBytes + ethernetHeaderBytes,
    bytes: isLink ? own : withLinkHeader(own),
    ...(place !== 'drop' && { direction: directions[place] }),
    comment: words.filter(Boolean).join('; '),
  }
}

/** A pcapng file with an interface for each device of each node, as Wireshark and tcpdump read it. */
export function captureFile(sightings: readonly Sighting[]): Uint8Array {
  return encodePcapng(sightings.toSorted((a, b) => a.timeMs - b.timeMs).map(captured), 'causeway trace')
}
