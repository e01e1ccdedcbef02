// Queueing disciplines at the root of a device. Causeway makes one kind: token buckets, which limit a rate.
import { NLM_F_CREATE, NLM_F_REPLACE } from '#/wire/netlink/message.ts'
import {
  decodeQdisc,
  decodeTbf,
  encodeQdisc,
  encodeTbf,
  RTM_GETQDISC,
  RTM_NEWQDISC,
  TC_H_ROOT,
  type Tbf,
} from '#/wire/netlink/qdisc.ts'
import { type Netlink, type Operation } from './netlink.ts'

/** "1:", the handle that tc(8) and other programs give to a device's only queueing discipline. */
const ownHandle = 0x1_0000

type Place = { readonly index: number; readonly name: string }

/** The queueing discipline at the root of a device. */
export type RootQdisc = {
  readonly kind: string
  /** `kernel`: what a device has as long as nobody asks for anything; `ours`: as Causeway makes it, or a program that does the same. */
  readonly maker: 'kernel' | 'ours' | 'other'
  /** Of a token bucket. */
  readonly tbf?: Tbf
}

/** The queueing disciplines at the roots of the namespace's devices, by the device's index. */
export function listRootQdiscs(netlink: Netlink): Map<number, RootQdisc> {
  const payload = encodeQdisc({ index: 0, handle: 0, parent: 0 })
  const qdiscs = netlink
    .dump({ what: 'tc qdisc show', type: RTM_GETQDISC, payload })
    .filter(({ type }) => type === RTM_NEWQDISC)
    .map((message) => decodeQdisc(message.payload))
  return new Map(
    qdiscs.flatMap(({ index, parent, handle, kind = '', options }): [number, RootQdisc][] => {
      if (parent !== TC_H_ROOT) return []
      const tbf = kind === 'tbf' && options ? decodeTbf(options) : undefined
      const maker = handle === 0 ? 'kernel' : tbf && handle === ownHandle ? 'ours' : 'other'
      return [[index, { kind, maker, ...(tbf && { tbf }) }]]
    }),
  )
}

/** Replaces the queueing discipline at the root, whatever it is. ENOENT when the kernel has no sch_tbf. */
export function tbfReplace(device: Place, tbf: Tbf): Operation {
  const { rateBytesPerSecond, burstBytes, limitBytes } = tbf
  return {
    what: `tc qdisc replace dev ${device.name} root handle 1: tbf rate ${rateBytesPerSecond * 8}bit burst ${burstBytes} limit ${limitBytes}`,
    type: RTM_NEWQDISC,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    payload: encodeQdisc({
      index: device.index,
      handle: ownHandle,
      parent: TC_H_ROOT,
      kind: 'tbf',
      options: encodeTbf(tbf),
    }),
  }
}
