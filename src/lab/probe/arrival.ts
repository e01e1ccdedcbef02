// Recognises probes in the packets that come to a pod. Pure.
import { Addr } from '#/lib/addr.ts'
import { viewOf } from '#/lib/bytes.ts'
import type { Protocol } from './types.ts'

export type Arrival = { readonly source: Addr; readonly protocol: Protocol }

/** The parts of a header of each version: where the protocol and the source are, and how many bytes the source has. */
const headers = {
  4: { protocolAt: 9, sourceAt: 12, addrBytes: 4, icmp: 1, echoRequest: 8 },
  6: { protocolAt: 6, sourceAt: 8, addrBytes: 16, icmp: 58, echoRequest: 128 },
} as const
const ipv6HeaderBytes = 40
const tcp = 6
const tcpFlagsAt = 13
const synAndAck = 0x12
const syn = 0x02

function protocolOf(number: number, icmp: number, echoRequest: number, payload: Uint8Array, port: number) {
  if (number === icmp) return payload[0] === echoRequest ? 'icmp' : undefined
  if (number !== tcp || payload.length <= tcpFlagsAt) return undefined
  const isOpening = (payload[tcpFlagsAt]! & synAndAck) === syn
  return isOpening && viewOf(payload).getUint16(2) === port ? 'tcp' : undefined
}

/**
 * The probe in a packet that begins with its IP header: an echo request, or the SYN to this port; undefined for all else. Probes have no
 * extension headers.
 */
export function arrivalOf(bytes: Uint8Array, port: number): Arrival | undefined {
  const version = (bytes[0] ?? 0) >> 4
  if (version !== 4 && version !== 6) return undefined
  const { protocolAt, sourceAt, addrBytes, icmp, echoRequest } = headers[version]
  const headerBytes = version === 4 ? (bytes[0]! & 0x0f) * 4 : ipv6HeaderBytes
  if (bytes.length < Math.max(headerBytes, sourceAt + addrBytes)) return undefined
  const protocol = protocolOf(bytes[protocolAt]!, icmp, echoRequest, bytes.subarray(headerBytes), port)
  return protocol && { source: Addr.fromBytes(bytes.subarray(sourceAt, sourceAt + addrBytes)), protocol }
}
