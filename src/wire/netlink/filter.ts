// Filters of traffic control: struct tcmsg and TCA_* (include/uapi/linux/rtnetlink.h), those of kind bpf (linux/pkt_cls.h).
import { viewOf, WireError, Writer } from '#/lib/bytes.ts'
import { nest, raw, text, u32 } from './attr.ts'

export const RTM_NEWTFILTER = 44
export const RTM_DELTFILTER = 45
export const RTM_GETTFILTER = 46

/** The parent that the qdiscs clsact and ingress have, and their handle. */
export const TC_H_CLSACT = 0xffff_fff1
export const clsactHandle = 0xffff_0000

/** Parents of the filters for what a device receives, and for what it sends. */
export const filterParents = { ingress: 0xffff_fff2, egress: 0xffff_fff3 } as const

/** All protocols, in network byte order as struct tcmsg has it. */
const ETH_P_ALL = 0x0300

/** The program's verdict is the filter's: no actions behind. */
const TCA_BPF_FLAG_ACT_DIRECT = 1

const bpfOptions = nest({ fd: [6, u32], name: [7, text], flags: [8, u32], tag: [10, raw], id: [11, u32] })
const filterAttrs = nest({ kind: [1, text], options: [2, raw] })
const bpfFilterAttrs = nest({ kind: [1, text], options: [2, bpfOptions] })

const headerBytes = 20

export type FilterPlace = {
  readonly index: number
  readonly parent: number
  /** Lower ones see a packet first. 0: any, for lists. */
  readonly priority: number
  readonly handle: number
}

export type FilterMessage = FilterPlace & {
  readonly kind?: string
  /** Of kind bpf. Without an id it is classic BPF, which is no program of its own. */
  readonly bpf?: { readonly programId?: number; readonly name: string; readonly isDirect: boolean }
}

function header({ index, parent, priority, handle }: FilterPlace): Writer {
  const into = new Writer()
  into.reserve(4)
  into.u32le(index)
  into.u32le(handle)
  into.u32le(parent)
  into.u32le(((priority << 16) | (priority === 0 ? 0 : ETH_P_ALL)) >>> 0)
  return into
}

/** For all filters of a parent (priority and handle 0), or for one of kind bpf to delete. */
export function encodeFilterPlace(place: FilterPlace): Uint8Array {
  const into = header(place)
  if (place.priority !== 0) filterAttrs.encode({ kind: 'bpf' }, into)
  return into.toBytes()
}

/** A filter of kind bpf with a program's descriptor; `name` is shown to people. */
export function encodeBpfFilter(place: FilterPlace, fd: number, name: string): Uint8Array {
  const into = header(place)
  bpfFilterAttrs.encode({ kind: 'bpf', options: { fd, name, flags: TCA_BPF_FLAG_ACT_DIRECT } }, into)
  return into.toBytes()
}

export function decodeFilter(payload: Uint8Array): FilterMessage {
  if (payload.length < headerBytes) throw new WireError('filter message cut off', payload.length)
  const view = viewOf(payload)
  const { kind, options } = filterAttrs.decode(payload.subarray(headerBytes))
  const bpf = kind === 'bpf' && options ? bpfOptions.decode(options) : undefined
  return {
    index: view.getInt32(4, true),
    handle: view.getUint32(8, true),
    parent: view.getUint32(12, true),
    priority: view.getUint16(18, true),
    ...(kind !== undefined && { kind }),
    ...(bpf && {
      bpf: {
        ...(bpf.id !== undefined && { programId: bpf.id }),
        name: bpf.name ?? '',
        isDirect: ((bpf.flags ?? 0) & TCA_BPF_FLAG_ACT_DIRECT) !== 0,
      },
    }),
  }
}
