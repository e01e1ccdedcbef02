// The ICMP packets of those who ask whether an address answers: echo (RFC 792, RFC 4443 section 4), and the errors that quote one of our echo
// requests (RFC 792; RFC 4443 section 3). Pure.
import type { Family } from '#/lib/addr.ts'
import { viewOf } from '#/lib/bytes.ts'
import { internetChecksum } from '#/lib/internet-checksum.ts'
import { echoReply, echoRequest, icmpWords, packetTooBig } from './types.ts'

export type Echo = { readonly id: number; readonly seq: number }

export type IcmpPacket =
  /** An answer, or the request of somebody else. */
  | ({ readonly kind: 'reply' | 'request'; readonly cookie: Uint8Array } & Echo)
  /** A router or host on the way rejected the request; `words` say why, `mtuBytes` which size it takes, where it says so. */
  | ({ readonly kind: 'error'; readonly words: string; readonly mtuBytes?: number } & Echo)

const echoHeaderBytes = 8
/** The payload size of ping(8): 56 bytes, so that a request has 64. */
const payloadBytes = 56
/** The length of the cookie at the start of the payload, by which a sender recognises its own packets. */
export const cookieBytes = 8
const ipv6HeaderBytes = 40
const protocolIcmp = { 4: 1, 6: 58 } as const

/** What a node on the way may say of a request that it does not pass on. */
const refusals = { 4: [3, 11], 6: [1, 2, 3] } as const

const isRefusal = (family: Family, type: number): boolean => refusals[family].some((each) => each === type)

/** The ICMP types of answers to our own requests, for the socket's filter. */
export function icmpTypes(family: Family): readonly number[] {
  return [echoReply[family], ...refusals[family]]
}

/** The ICMP type of others' requests, for the socket's filter. */
export function echoRequestType(family: Family): number {
  return echoRequest[family]
}

const ipHeaderBytes = { 4: 20, 6: ipv6HeaderBytes } as const

/** The size of the IP packet around an echo request that is not told how large to be. */
export function usualEchoBytes(family: Family): number {
  return ipHeaderBytes[family] + echoHeaderBytes + payloadBytes
}

/** The smallest IP packet with an echo request that has its cookie. */
export function leastEchoBytes(family: Family): number {
  return ipHeaderBytes[family] + echoHeaderBytes + cookieBytes
}

/**
 * An echo request; `sizeBytes` is the size of the IP packet around it. The kernel fills in the checksum of v6, which covers addresses that are
 * unknown here.
 */
export function encodeEchoRequest(
  family: Family,
  request: Echo & { readonly cookie: Uint8Array; readonly sizeBytes?: number },
): Uint8Array {
  const bytes = new Uint8Array((request.sizeBytes ?? usualEchoBytes(family)) - ipHeaderBytes[family])
  const view = viewOf(bytes)
  view.setUint8(0, echoRequest[family])
  view.setUint16(4, request.id)
  view.setUint16(6, request.seq)
  bytes.set(request.cookie.subarray(0, cookieBytes), echoHeaderBytes)
  if (family === 4) view.setUint16(2, internetChecksum(bytes))
  return bytes
}

/** The payload of an IP packet if it is ICMP of its family and not a later fragment; undefined otherwise. */
function icmpOf(family: Family, packet: Uint8Array): Uint8Array | undefined {
  if (packet[0] === undefined || packet[0] >> 4 !== family) return undefined
  if (family === 6) {
    // our own requests have no extension headers
    return packet[6] === protocolIcmp[6] ? packet.subarray(ipv6HeaderBytes) : undefined
  }
  const isFirst = (((packet[6] ?? 0) & 0x1f) | (packet[7] ?? 0)) === 0
  return packet[9] === protocolIcmp[4] && isFirst ? packet.subarray((packet[0] & 0xf) * 4) : undefined
}

function echoOf(message: Uint8Array, type: number): Echo | undefined {
  if (message.length < echoHeaderBytes || message[0] !== type) return undefined
  const view = viewOf(message)
  return { id: view.getUint16(4), seq: view.getUint16(6) }
}

/**
 * Reads a packet from a raw ICMP socket, which includes the IP header for v4 but not for v6 (raw(7)). Undefined for anything but an echo
 * request, its reply, or an error about a request.
 */
export function parseIcmp(family: Family, bytes: Uint8Array): IcmpPacket | undefined {
  const message = family === 4 ? icmpOf(4, bytes) : bytes
  if (message === undefined || message.length < echoHeaderBytes) return undefined
  const cookie = (): Uint8Array => message.slice(echoHeaderBytes, echoHeaderBytes + cookieBytes)
  const reply = echoOf(message, echoReply[family])
  if (reply !== undefined) return { kind: 'reply', ...reply, cookie: cookie() }
  const asked = echoOf(message, echoRequest[family])
  if (asked !== undefined) return { kind: 'request', ...asked, cookie: cookie() }
  const [type = 0, code = 0] = message
  if (!isRefusal(family, type)) return undefined
  const quoted = icmpOf(family, message.subarray(echoHeaderBytes))
  const request = quoted && echoOf(quoted, echoRequest[family])
  const mtuBytes = nextHopMtu(family, message)
  return (
    request && {
      kind: 'error',
      words: icmpWords(family, type, code) ?? `ICMP type ${type} code ${code}`,
      ...request,
      ...(mtuBytes !== undefined && { mtuBytes }),
    }
  )
}

/** The MTU that an error of a packet too big tells (RFC 1191 section 4, RFC 4443 section 3.2); undefined where it tells none. */
function nextHopMtu(family: Family, message: Uint8Array): number | undefined {
  const [type, code] = message
  const tooBig = packetTooBig[family]
  if (type !== tooBig.type || (family === 4 && code !== tooBig.code)) return undefined
  const mtuBytes = family === 6 ? viewOf(message).getUint32(4) : viewOf(message).getUint16(6)
  return family === 4 && mtuBytes === 0 ? undefined : mtuBytes
}
