// Programs in classic BPF that say which packets a socket receives (linux/filter.h, Documentation/networking/filter.rst).
import { viewOf } from '#/lib/bytes.ts'
import { type Family, type Prefix } from '#/lib/addr.ts'
import { withPointer } from './libc.ts'
import { setOption } from './socket.ts'

const SOL_SOCKET = 1
const SO_ATTACH_FILTER = 26

const BPF_LD_W_ABS = 0x20
const BPF_LD_H_ABS = 0x28
const BPF_LD_B_ABS = 0x30
const BPF_AND_K = 0x54
const BPF_JEQ_K = 0x15
const BPF_RET_K = 0x06
/** Loads relative to the network header, where UDP's own filters start behind it. */
const SKF_NET_OFF = 0xfff0_0000
/** Loads relative to the link's header. */
const SKF_LL_OFF = 0xffe0_0000
/** Loads what the kernel knows of a packet beside its bytes. */
const SKF_AD_OFF = 0xffff_f000
const SKF_AD_PKTTYPE = 4
const PACKET_OTHERHOST = 3
const ttlOffset = { 4: 8, 6: 7 } as const
const sourceOffset = { 4: 12, 6: 8 } as const
const instructionBytes = 8
const wordBits = 32

/** A struct sock_filter: how many instructions to leave out if it is true, and if not. */
type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, k: number]
export type SocketFilter = readonly Instruction[]

const take: Instruction = [BPF_RET_K, 0, 0, 0xffff_ffff]
const drop: Instruction = [BPF_RET_K, 0, 0, 0]

/** Only packets with TTL 255: others came from beyond the link (RFC 5881 section 5). */
export function onlyFromLink(family: Family): SocketFilter {
  return [[BPF_LD_B_ABS, 0, 0, SKF_NET_OFF + ttlOffset[family]], [BPF_JEQ_K, 0, 1, 255], take, drop]
}

/**
 * Only packets whose source is in the prefix, and that are not for the MAC of somebody else, as switches flood them. `ownMac`: one that is this
 * node's too, though its device has another.
 */
export function onlyFromSources({ addr, length, family }: Prefix, ownMac: Uint8Array): SocketFilter {
  const words = Array.from({ length: Math.ceil(length / wordBits) }, (_, index) => {
    const mask = (0xffff_ffff << Math.max(0, wordBits * (index + 1) - length)) >>> 0
    const value = Number((addr.value >> BigInt(addr.bits - wordBits * (index + 1))) & 0xffff_ffffn)
    const offset = SKF_NET_OFF + sourceOffset[family] + 4 * index
    return [[BPF_LD_W_ABS, offset] as const, [BPF_AND_K, mask] as const, [BPF_JEQ_K, (value & mask) >>> 0] as const]
  })
  const mac = viewOf(ownMac)
  const isForOwnMac = [
    [BPF_LD_W_ABS, SKF_LL_OFF],
    [BPF_JEQ_K, mac.getUint32(0)],
    [BPF_LD_H_ABS, SKF_LL_OFF + 4],
    [BPF_JEQ_K, mac.getUint16(4)],
  ] as const
  const tests = [
    ...isForOwnMac,
    [BPF_LD_B_ABS, SKF_NET_OFF],
    [BPF_AND_K, 0xf0],
    [BPF_JEQ_K, family << 4],
    ...words.flat(),
  ] as const
  // where a test fails, to the last instruction, behind `take`
  const checks = tests.map(([code, k], index): Instruction => [
    code,
    0,
    code === BPF_JEQ_K ? tests.length - index : 0,
    k,
  ])
  return [
    [BPF_LD_W_ABS, 0, 0, SKF_AD_OFF + SKF_AD_PKTTYPE],
    [BPF_JEQ_K, 0, isForOwnMac.length, PACKET_OTHERHOST],
    ...checks,
    take,
    drop,
  ]
}

/** Attach it before the socket is bound, so that nothing comes in unfiltered. */
export function attachFilter(fd: number, filter: SocketFilter): void {
  const program = new Uint8Array(filter.length * instructionBytes)
  const view = viewOf(program)
  for (const [index, [code, ifTrue, ifFalse, k]] of filter.entries()) {
    view.setUint16(index * instructionBytes, code, true)
    view.setUint8(index * instructionBytes + 2, ifTrue)
    view.setUint8(index * instructionBytes + 3, ifFalse)
    view.setUint32(index * instructionBytes + 4, k, true)
  }
  withPointer(program, (address) => {
    const value = new Uint8Array(16)
    viewOf(value).setUint16(0, filter.length, true)
    viewOf(value).setBigUint64(8, address, true)
    setOption(fd, SOL_SOCKET, SO_ATTACH_FILTER, value, 'SO_ATTACH_FILTER')
  })
}
