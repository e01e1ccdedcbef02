// Queueing disciplines: struct tcmsg and TCA_* (include/uapi/linux/rtnetlink.h), token bucket (linux/pkt_sched.h, sch_tbf.c).
import { viewOf, WireError, Writer } from '#/lib/bytes.ts'
import { bytesOf, nest, raw, text, u32, u64 } from './attr.ts'

export const RTM_NEWQDISC = 36
export const RTM_DELQDISC = 37
export const RTM_GETQDISC = 38

/** tcm_parent of a device's root discipline, which packets enter first. */
export const TC_H_ROOT = 0xffff_ffff

const qdiscAttrs = nest({ kind: [1, text], options: [2, raw] })

export type QdiscMessage = {
  readonly index: number
  /** The major number is in the upper 16 bits: "1:" is 0x10000. */
  readonly handle: number
  readonly parent: number
  readonly kind?: string
  readonly options?: Uint8Array
}

const headerBytes = 20

export function encodeQdisc({ index, handle, parent, kind, options }: QdiscMessage): Uint8Array {
  const into = new Writer()
  into.reserve(4)
  into.u32le(index)
  into.u32le(handle)
  into.u32le(parent)
  into.u32le(0)
  qdiscAttrs.encode({ ...(kind !== undefined && { kind }), ...(options && { options }) }, into)
  return into.toBytes()
}

export function decodeQdisc(payload: Uint8Array): QdiscMessage {
  if (payload.length < headerBytes) throw new WireError('qdisc message cut off', payload.length)
  const view = viewOf(payload)
  return {
    index: view.getInt32(4, true),
    handle: view.getUint32(8, true),
    parent: view.getUint32(12, true),
    ...qdiscAttrs.decode(payload.subarray(headerBytes)),
  }
}

/** A token bucket: packets leave at this rate, after `burstBytes` at once; packets that would exceed `limitBytes` of queue are dropped. */
export type Tbf = { readonly rateBytesPerSecond: number; readonly burstBytes: number; readonly limitBytes: number }

const tbfAttrs = nest({ parms: [1, raw], rate64: [4, u64], burst: [6, u32] })

/** The kernel measures the bucket in ticks of 64 ns (PSCHED_SHIFT). */
const nsPerTick = 64
const maxU32 = 0xffff_ffff
const TC_LINKLAYER_ETHERNET = 1
const parmsBytes = 36
const offsets = { rate: 8, limit: 24, buffer: 28 } as const

/**
 * TCA_OPTIONS of a token bucket. With a known link layer and the burst in bytes the kernel does not need the rate tables that struct
 * tc_ratespec was made for.
 */
export function encodeTbf({ rateBytesPerSecond, burstBytes, limitBytes }: Tbf): Uint8Array {
  const parms = new Uint8Array(parmsBytes)
  const view = viewOf(parms)
  view.setUint8(1, TC_LINKLAYER_ETHERNET)
  view.setUint32(offsets.rate, Math.min(rateBytesPerSecond, maxU32), true)
  view.setUint32(offsets.limit, Math.min(limitBytes, maxU32), true)
  const ticks = Math.round(((burstBytes / rateBytesPerSecond) * 1e9) / nsPerTick)
  view.setUint32(offsets.buffer, Math.min(ticks, maxU32), true)
  return bytesOf(tbfAttrs, {
    parms,
    ...(rateBytesPerSecond > maxU32 && { rate64: BigInt(rateBytesPerSecond) }),
    burst: Math.min(burstBytes, maxU32),
  })
}

/**
 * Decodes a token bucket. The kernel returns the burst in ticks, so it equals the configured one only up to rounding. Throws WireError when
 * the options are cut off.
 */
export function decodeTbf(options: Uint8Array): Tbf {
  const { parms, rate64 } = tbfAttrs.decode(options)
  if (parms === undefined || parms.length < parmsBytes) throw new WireError('token bucket without parameters', 0)
  const view = viewOf(parms)
  const rateBytesPerSecond = rate64 === undefined ? view.getUint32(offsets.rate, true) : Number(rate64)
  const seconds = (view.getUint32(offsets.buffer, true) * nsPerTick) / 1e9
  return {
    rateBytesPerSecond,
    burstBytes: Math.round(rateBytesPerSecond * seconds),
    limitBytes: view.getUint32(offsets.limit, true),
  }
}
