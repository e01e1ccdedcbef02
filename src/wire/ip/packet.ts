// The headers of an IPv4 or IPv6 packet, as far as they say what connection it belongs to. Pure. Packets come from pods, which may send
// anything: what cannot be read is undefined, and nothing here throws.
import { Addr } from '#/lib/addr.ts'
import { viewOf } from '#/lib/bytes.ts'

/** Flags of a TCP header. */
export const tcpFlags = { FIN: 0x01, SYN: 0x02, RST: 0x04, ACK: 0x10 } as const

export type IpPacket = {
  readonly src: Addr
  readonly dst: Addr
  /** Of what is behind all extension headers. */
  readonly protocol: number
  /** Of TCP, UDP and SCTP; absent in all fragments but the first, and where the bytes end before it. */
  readonly sourcePort?: number
  readonly port?: number
  /** Absent where the bytes end before the flags. */
  readonly tcp?: { readonly flags: number }
}

const tcp = 6
const withPorts: readonly number[] = [tcp, 17, 132]
const portsBytes = 4
const tcpFlagsAt = 13
const ipv4HeaderBytes = 20
const ipv6HeaderBytes = 40
const fragmentHeader = 44
const authenticationHeader = 51
/** Hop-by-hop options, routing, destination options, mobility, HIP, shim6: the second byte is the length in units of 8 bytes. */
const extensionHeaders: readonly number[] = [0, 43, 60, 135, 139, 140]
/** More of them are no packet that anybody means. */
const mostExtensions = 8

/** `bytes` is absent in a later fragment. */
type Transport = { readonly protocol: number; readonly bytes?: Uint8Array }

function ipv4Transport(bytes: Uint8Array): Transport {
  const headerBytes = Math.max(ipv4HeaderBytes, (bytes[0]! & 0x0f) * 4)
  const isFirst = (viewOf(bytes).getUint16(6) & 0x1fff) === 0
  return { protocol: bytes[9]!, ...(isFirst && { bytes: bytes.subarray(headerBytes) }) }
}

function ipv6Transport(bytes: Uint8Array): Transport {
  let protocol = bytes[6]!
  let rest = bytes.subarray(ipv6HeaderBytes)
  for (let count = 0; count < mostExtensions; count++) {
    const isFragment = protocol === fragmentHeader
    const isAuthentication = protocol === authenticationHeader
    if (!isFragment && !isAuthentication && !extensionHeaders.includes(protocol)) break
    if (rest.length < 8) return { protocol }
    const next = rest[0]!
    if (isFragment && (viewOf(rest).getUint16(2) & 0xfff8) !== 0) return { protocol: next }
    const headerBytes = isFragment ? 8 : isAuthentication ? (rest[1]! + 2) * 4 : (rest[1]! + 1) * 8
    protocol = next
    rest = rest.subarray(headerBytes)
  }
  return { protocol, bytes: rest }
}

/** Reads a packet that begins with its IP header and may be cut short anywhere. Undefined: it is neither IPv4 nor IPv6. */
export function readIpPacket(bytes: Uint8Array): IpPacket | undefined {
  const version = (bytes[0] ?? 0) >> 4
  const isIpv4 = version === 4
  if (bytes.length < (isIpv4 ? ipv4HeaderBytes : ipv6HeaderBytes) || (!isIpv4 && version !== 6)) return undefined
  const addrs = isIpv4 ? [12, 16, 20] : [8, 24, 40]
  const src = Addr.fromBytes(bytes.subarray(addrs[0], addrs[1]))
  const dst = Addr.fromBytes(bytes.subarray(addrs[1], addrs[2]))
  const { protocol, bytes: rest } = isIpv4 ? ipv4Transport(bytes) : ipv6Transport(bytes)
  const ends = { src, dst, protocol }
  if (rest === undefined || !withPorts.includes(protocol) || rest.length < portsBytes) return ends
  const view = viewOf(rest)
  const flags = protocol === tcp ? rest[tcpFlagsAt] : undefined
  return {
    ...ends,
    sourcePort: view.getUint16(0),
    port: view.getUint16(2),
    ...(flags !== undefined && { tcp: { flags } }),
  }
}
