// Entries of connection tracking (include/uapi/linux/netfilter/nfnetlink_conntrack.h), as far as host ports and the eBPF datapath need them.
import { type Addr, type Family } from '#/lib/addr.ts'
import { WireError, written } from '#/lib/bytes.ts'
import { addr, be16, nest, raw, u8 } from './attr.ts'
import { afOf } from './family.ts'

const NFNL_SUBSYS_CTNETLINK = 1
export const IPCTNL_MSG_CT_NEW = NFNL_SUBSYS_CTNETLINK << 8
export const IPCTNL_MSG_CT_GET = IPCTNL_MSG_CT_NEW | 1
export const IPCTNL_MSG_CT_DELETE = IPCTNL_MSG_CT_NEW | 2

/** One direction of an entry: who sends to whom. */
export const conntrackTuple = nest({
  ip: [1, nest({ src4: [1, addr], dst4: [2, addr], src6: [3, addr], dst6: [4, addr] })],
  proto: [2, nest({ protocol: [1, u8], srcPort: [2, be16], dstPort: [3, be16] })],
})
const packetTuple = nest({
  ip: [1, nest({ src4: [1, addr], dst4: [2, addr], src6: [3, addr], dst6: [4, addr] })],
  proto: [
    2,
    nest({
      protocol: [1, u8],
      srcPort: [2, be16],
      dstPort: [3, be16],
      id4: [4, be16],
      type4: [5, u8],
      code4: [6, u8],
      id6: [7, be16],
      type6: [8, u8],
      code6: [9, u8],
    }),
  ],
})
const tcpInfo = nest({ flagsOriginal: [4, raw], flagsReply: [5, raw] })
const entry = nest({
  orig: [1, conntrackTuple],
  reply: [2, conntrackTuple],
  protoInfo: [4, nest({ tcp: [1, tcpInfo] })],
})
/**
 * struct nf_ct_tcp_flags, flags and which of them are told: packets are taken whatever their sequence numbers (IP_CT_TCP_FLAG_BE_LIBERAL of
 * include/uapi/linux/netfilter/nf_conntrack_tcp.h).
 */
export const tcpLiberal = Uint8Array.of(0x08, 0x08)
/** struct nfgenmsg: the family, a version, and two bytes more. */
export const conntrackHeaderBytes = 4

/** A tracked connection, by the packet that began it; `answeredBy` is who answers: another than `dst` when that was translated. */
export type Connection = {
  readonly protocol: number
  readonly src: Addr
  readonly srcPort: number
  readonly dst: Addr
  readonly dstPort: number
  readonly answeredBy: Addr
  /** Whether an address or a port of it is translated: then the answers are not the mirror of the first packet. */
  readonly isTranslated: boolean
}

const AF_UNSPEC = 0

/** The payload of a request for all entries of a family, or of all families. */
export function encodeConntrackDump(family?: Family): Uint8Array {
  return Uint8Array.of(family === undefined ? AF_UNSPEC : afOf(family), 0, 0, 0)
}

type Name = Pick<Connection, 'protocol' | 'src' | 'srcPort' | 'dst' | 'dstPort'>

function original({ protocol, src, srcPort, dst, dstPort }: Name) {
  const ip = src.family === 4 ? { src4: src, dst4: dst } : { src6: src, dst6: dst }
  return { ip, proto: { protocol, srcPort, dstPort } }
}

/** The payload of a request to delete one entry. */
export function encodeConntrackDelete(name: Name): Uint8Array {
  return written((into) => {
    into.bytes(encodeConntrackDump(name.src.family))
    entry.encode({ orig: original(name) }, into)
  })
}

/** A packet of a flow, in either direction. */
export type TrackedPacket = {
  readonly protocol: number
  readonly src: Addr
  readonly dst: Addr
  readonly ports?: { readonly src: number; readonly dst: number }
  /** Of an echo. */
  readonly icmp?: { readonly id: number; readonly type: number }
}

const packetEntry = nest({ orig: [1, packetTuple] })

/** The payload of a request to delete the entry that a packet belongs to: the kernel finds it by the packet of either direction. */
export function encodePacketEntryDelete({ protocol, src, dst, ports, icmp }: TrackedPacket): Uint8Array {
  const ip = src.family === 4 ? { src4: src, dst4: dst } : { src6: src, dst6: dst }
  const echo =
    icmp === undefined
      ? {}
      : src.family === 4
        ? { id4: icmp.id, type4: icmp.type, code4: 0 }
        : { id6: icmp.id, type6: icmp.type, code6: 0 }
  const proto = { protocol, ...(ports && { srcPort: ports.src, dstPort: ports.dst }), ...echo }
  return written((into) => {
    into.bytes(encodeConntrackDump(src.family))
    packetEntry.encode({ orig: { ip, proto } }, into)
  })
}

/** The payload of a request to take packets of one TCP connection as they come, whatever their sequence numbers. */
export function encodeConntrackLiberal(name: Name): Uint8Array {
  return written((into) => {
    into.bytes(encodeConntrackDump(name.src.family))
    entry.encode(
      { orig: original(name), protoInfo: { tcp: { flagsOriginal: tcpLiberal, flagsReply: tcpLiberal } } },
      into,
    )
  })
}

/** Decodes an entry; undefined for one of a protocol without ports. Throws WireError. */
export function decodeConnection(payload: Uint8Array): Connection | undefined {
  if (payload.length < conntrackHeaderBytes) throw new WireError('conntrack message cut off', payload.length)
  const { orig, reply } = entry.decode(payload.subarray(conntrackHeaderBytes))
  const { protocol, srcPort, dstPort } = orig?.proto ?? {}
  const src = orig?.ip?.src4 ?? orig?.ip?.src6
  const dst = orig?.ip?.dst4 ?? orig?.ip?.dst6
  const answeredBy = reply?.ip?.src4 ?? reply?.ip?.src6
  if (protocol === undefined || srcPort === undefined || dstPort === undefined) return undefined
  if (src === undefined || dst === undefined || answeredBy === undefined) return undefined
  const answersTo = reply?.ip?.dst4 ?? reply?.ip?.dst6
  const isMirrored =
    answeredBy.equals(dst) &&
    answersTo?.equals(src) === true &&
    reply?.proto?.srcPort === dstPort &&
    reply.proto.dstPort === srcPort
  return { protocol, src, srcPort, dst, dstPort, answeredBy, isTranslated: !isMirrored }
}
