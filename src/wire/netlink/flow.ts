// Entries of connection tracking as policies look at them: of every protocol, by both of its ends, to be judged, deleted and made.
// Layout: include/uapi/linux/netfilter/nfnetlink_conntrack.h.
import { type Addr } from '#/lib/addr.ts'
import { WireError, written } from '#/lib/bytes.ts'
import { be16, be32, eachAttr, nest, raw, u8 } from './attr.ts'
import { conntrackHeaderBytes, conntrackTuple, encodeConntrackDump, tcpLiberal } from './conntrack.ts'

const CTA_TUPLE_ORIG = 1
const CTA_TUPLE_REPLY = 2
const CTA_TUPLE_IP = 1

/** Bits of an entry's status (include/uapi/linux/netfilter/nf_conntrack_common.h). */
const IPS_SEEN_REPLY = 0x02
const IPS_ASSURED = 0x04
const IPS_CONFIRMED = 0x08

const IPPROTO_TCP = 6
const TCP_CONNTRACK_ESTABLISHED = 3
/** Until the first packet, with which the kernel's own time begins. */
const firstTimeoutSeconds = 300

const tcp = nest({ state: [1, u8], flagsOriginal: [4, raw], flagsReply: [5, raw] })
const entry = nest({
  orig: [CTA_TUPLE_ORIG, conntrackTuple],
  reply: [CTA_TUPLE_REPLY, conntrackTuple],
  status: [3, be32],
  protoInfo: [4, nest({ tcp: [1, tcp] })],
  timeoutSeconds: [7, be32],
  zone: [18, be16],
})
const name = nest({ orig: [CTA_TUPLE_ORIG, raw] })

/**
 * A tracked flow between who began it and who answers: the destination is that after translation (a Service's pod), the source that before
 * (a pod that is masqueraded). Ports are absent where the protocol has none.
 */
export type Flow = {
  readonly protocol: number
  readonly src: Addr
  readonly dst: Addr
  readonly srcPort?: number
  readonly dstPort?: number
  /** Where answers go: elsewhere than to the source when that is masqueraded. */
  readonly answered: { readonly addr: Addr; readonly port?: number }
  /** The bytes by which the kernel finds the entry again. */
  readonly name: Uint8Array
}

/** Bytes of an address as a key of sets: a table of hundreds of thousands of entries is looked through without making an Addr of each. */
export function addrKey(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes)
}

/** Where in the payload the value of the last attribute of that type begins and ends; [0, 0] when there is none. */
function placeOf(bytes: Uint8Array, wanted: number): readonly [number, number] {
  let place: readonly [number, number] = [0, 0]
  eachAttr(bytes, (type, start, end) => {
    if (type === wanted) place = [start, end]
  })
  return place
}

/** The key of the source address in a tuple; '' when there is none. */
function sourceKey(bytes: Uint8Array, which: number): string {
  const of = (within: Uint8Array, type: number): Uint8Array => within.subarray(...placeOf(within, type))
  const addrs = of(of(bytes, which), CTA_TUPLE_IP)
  const four = of(addrs, 1)
  return addrKey(four.length > 0 ? four : of(addrs, 3))
}

/** The keys (addrKey) of who began a flow and who answers it, without decoding the rest. Throws WireError. */
export function flowEnds(payload: Uint8Array): readonly [src: string, dst: string] {
  const attrs = payload.subarray(conntrackHeaderBytes)
  return [sourceKey(attrs, CTA_TUPLE_ORIG), sourceKey(attrs, CTA_TUPLE_REPLY)]
}

/** Decodes an entry; undefined for one in a zone of its own, which is another program's, and for one without addresses. Throws WireError. */
export function decodeFlow(payload: Uint8Array): Flow | undefined {
  if (payload.length < conntrackHeaderBytes) throw new WireError('conntrack message cut off', payload.length)
  const attrs = payload.subarray(conntrackHeaderBytes)
  const { orig, reply, zone = 0 } = entry.decode(attrs)
  const src = orig?.ip?.src4 ?? orig?.ip?.src6
  const dst = reply?.ip?.src4 ?? reply?.ip?.src6
  const { protocol, srcPort } = orig?.proto ?? {}
  const answered = reply?.ip?.dst4 ?? reply?.ip?.dst6
  if (zone !== 0 || src === undefined || dst === undefined || answered === undefined || protocol === undefined)
    return undefined
  const { srcPort: dstPort, dstPort: answeredPort } = reply?.proto ?? {}
  return {
    protocol,
    src,
    dst,
    ...(srcPort !== undefined && { srcPort }),
    ...(dstPort !== undefined && { dstPort }),
    answered: { addr: answered, ...(answeredPort !== undefined && { port: answeredPort }) },
    name: attrs.slice(...placeOf(attrs, CTA_TUPLE_ORIG)),
  }
}

/** The payload of a request to delete the entry of a flow, of whatever protocol. */
export function encodeFlowDelete({ src, name: orig }: Pick<Flow, 'src' | 'name'>): Uint8Array {
  return written((into) => {
    into.bytes(encodeConntrackDump(src.family))
    // the kernel wants the nest marked as one
    into.bytes(nested(orig))
  })
}

function nested(orig: Uint8Array): Uint8Array {
  const bytes = written((into) => name.encode({ orig }, into))
  bytes[3]! |= 0x80
  return bytes
}

export type TcpFlow = { readonly src: Addr; readonly dst: Addr; readonly srcPort: number; readonly dstPort: number }

/** The payload of a request to enter a TCP connection that `src` opened and both ends have used. */
export function encodeEstablished({ src, dst, srcPort, dstPort }: TcpFlow): Uint8Array {
  const ends = (from: Addr, to: Addr) => (from.family === 4 ? { src4: from, dst4: to } : { src6: from, dst6: to })
  return written((into) => {
    into.bytes(encodeConntrackDump(src.family))
    entry.encode(
      {
        orig: { ip: ends(src, dst), proto: { protocol: IPPROTO_TCP, srcPort, dstPort } },
        reply: { ip: ends(dst, src), proto: { protocol: IPPROTO_TCP, srcPort: dstPort, dstPort: srcPort } },
        status: IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED,
        protoInfo: { tcp: { state: TCP_CONNTRACK_ESTABLISHED, flagsOriginal: tcpLiberal, flagsReply: tcpLiberal } },
        timeoutSeconds: firstTimeoutSeconds,
      },
      into,
    )
  })
}
