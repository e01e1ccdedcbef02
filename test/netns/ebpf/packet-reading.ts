// How the oracle reads packets: on its own, without the programs' rules and without their code.
import { viewOf } from '#/lib/bytes.ts'
import { protocols, tcpFlags } from './frames.ts'

export const hexAt = (frame: Uint8Array, at: number, bytes: number): string => frame.subarray(at, at + bytes).toHex()

/** A whole IP header, and what is behind it. Addresses are hex digits: eight of IPv4, 32 of IPv6. */
export type Reading = {
  readonly src: string
  readonly dst: string
  readonly hops: number
  readonly ecn: number
  /** IPv4's protocol, or IPv6's next header. */
  readonly next: number
  /** A TCP or UDP packet with its ports, whole, without options, fragments or extension headers. */
  readonly segment: Segment | undefined
  /** An echo request of ICMP, with its whole header, without options, fragments or extension headers. */
  readonly isEcho: boolean
}

export type Segment = {
  readonly protocol: number
  readonly from: number
  readonly to: number
  readonly flags: number
  /** Of the packet; of a segmented one, of each part. */
  readonly bytes: number
}

const transportBytes = new Map<number, number>([
  [protocols.tcp, 20],
  [protocols.udp, 8],
])

type Place = { readonly frame: Uint8Array; readonly at: number; readonly gsoBytes: number }

function segmentAt(
  { frame, at, gsoBytes }: Place,
  headerBytes: number,
  next: number,
  toldBytes: number,
): Segment | undefined {
  const least = transportBytes.get(next)
  const bytes = frame.length - at
  if (least === undefined || bytes < headerBytes + least) return undefined
  if (gsoBytes === 0 && (toldBytes > bytes || toldBytes < headerBytes + least)) return undefined
  const view = viewOf(frame)
  const start = at + headerBytes
  const isTcp = next === protocols.tcp
  const transport = isTcp ? (frame[start + 12]! >> 4) * 4 : least
  return {
    protocol: next,
    from: view.getUint16(start),
    to: view.getUint16(start + 2),
    flags: isTcp ? frame[start + 13]! : 0,
    bytes: gsoBytes === 0 ? bytes : gsoBytes + headerBytes + transport,
  }
}

const echoHeaderBytes = 8

function isEchoAt({ frame, at }: Place, headerBytes: number, request: number): boolean {
  return frame.length >= at + headerBytes + echoHeaderBytes && frame[at + headerBytes] === request
}

/** Undefined when there is no whole IPv4 header. */
export function readIpv4(place: Place): Reading | undefined {
  const { frame, at } = place
  if (frame.length < at + 20 || frame[at]! >> 4 !== 4 || (frame[at]! & 15) < 5) return undefined
  const view = viewOf(frame)
  const isWhole = (view.getUint16(at + 6) & 0x3fff) === 0
  const next = frame[at + 9]!
  return {
    src: hexAt(frame, at + 12, 4),
    dst: hexAt(frame, at + 16, 4),
    hops: frame[at + 8]!,
    ecn: frame[at + 1]! & 3,
    next,
    isEcho: next === protocols.icmp && frame[at] === 0x45 && isWhole && isEchoAt(place, 20, 8),
    segment: frame[at] === 0x45 && isWhole ? segmentAt(place, 20, next, view.getUint16(at + 2)) : undefined,
  }
}

/** Undefined when there is no whole IPv6 header. */
export function readIpv6(place: Place): Reading | undefined {
  const { frame, at } = place
  if (frame.length < at + 40 || frame[at]! >> 4 !== 6) return undefined
  const next = frame[at + 6]!
  return {
    src: hexAt(frame, at + 8, 16),
    dst: hexAt(frame, at + 24, 16),
    hops: frame[at + 7]!,
    ecn: (frame[at + 1]! >> 4) & 3,
    next,
    isEcho: next === protocols.icmpv6 && isEchoAt(place, 40, 128),
    segment: segmentAt(place, 40, next, 40 + viewOf(frame).getUint16(at + 4)),
  }
}

export const isSyn = ({ flags }: Segment): boolean => (flags & tcpFlags.syn) !== 0

/** Extension headers by how their length is told (RFC 8200 section 4, RFC 4302 section 2.2). */
const extensionBytes = new Map<number, (length: number) => number>([
  [0, (length) => (length + 1) * 8],
  [43, (length) => (length + 1) * 8],
  [60, (length) => (length + 1) * 8],
  [44, () => 8],
  [51, (length) => (length + 2) * 4],
])

/** The protocol behind extension headers; undefined when it cannot be told: cut off, or behind more than five. */
export function protocolBehind(frame: Uint8Array, ipAt: number, first: number): number | undefined {
  let [next, at] = [first, ipAt + 40]
  for (let count = 0; count < 6; count++) {
    const bytes = extensionBytes.get(next)
    if (bytes === undefined) return next
    if (at + 2 > frame.length) return undefined
    const length = frame[at + 1]!
    next = frame[at]!
    at += bytes(length)
  }
  return undefined
}

/** Neighbour discovery's options from `at` to the end; undefined when they do not fill it, or are more than four. */
export function readOptions(
  frame: Uint8Array,
  at: number,
): { readonly type: number; readonly bytes: Uint8Array }[] | undefined {
  const found = []
  for (let start = at; start < frame.length;) {
    const length = (frame[start + 1] ?? 0) * 8
    // each begins with eight bytes; the last may not tell more than there is
    if (length === 0 || start + length > frame.length || found.length === 4) return undefined
    found.push({ type: frame[start]!, bytes: frame.subarray(start, start + length) })
    start += length
  }
  return found
}
