// Entries of connection tracking as somebody makes them, with a mark by which all of them are deleted again
// (include/uapi/linux/netfilter/nfnetlink_conntrack.h, nf_conntrack_common.h).
import { type Addr } from '#/lib/addr.ts'
import { written } from '#/lib/bytes.ts'
import { be32, nest } from './attr.ts'
import { conntrackTuple, encodeConntrackDump } from './conntrack.ts'

const IPS_SEEN_REPLY = 2
const IPS_ASSURED = 4
const IPS_CONFIRMED = 8
const IPPROTO_UDP = 17
const everyBit = 0xffff_ffff

const entry = nest({
  orig: [1, conntrackTuple],
  reply: [2, conntrackTuple],
  status: [3, be32],
  timeoutSeconds: [7, be32],
  mark: [8, be32],
  markMask: [21, be32],
})

/** A UDP connection that both sides have spoken in: the kernel does not drop it to make room for another. */
export type MadeEntry = {
  readonly src: Addr
  readonly srcPort: number
  readonly dst: Addr
  readonly dstPort: number
  readonly mark: number
  readonly timeoutSeconds: number
}

function tuple(src: Addr, srcPort: number, dst: Addr, dstPort: number) {
  const ip = src.family === 4 ? { src4: src, dst4: dst } : { src6: src, dst6: dst }
  return { ip, proto: { protocol: IPPROTO_UDP, srcPort, dstPort } }
}

/** The payload of a request to make an entry. */
export function encodeConntrackEntry({ src, srcPort, dst, dstPort, mark, timeoutSeconds }: MadeEntry): Uint8Array {
  return written((into) => {
    into.bytes(encodeConntrackDump(src.family))
    const orig = tuple(src, srcPort, dst, dstPort)
    const reply = tuple(dst, dstPort, src, srcPort)
    const status = IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED
    entry.encode({ orig, reply, status, timeoutSeconds, mark }, into)
  })
}

/** The payload of a request to delete all entries with a mark, of both families. */
export function encodeConntrackDeleteMarked(mark: number): Uint8Array {
  return written((into) => {
    into.bytes(Uint8Array.of(0, 0, 0, 0))
    entry.encode({ mark, markMask: everyBit }, into)
  })
}
