// Queueing disciplines at the root of a device, only the kind that Causeway makes: token buckets, which limit a rate.
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
const handle = 0x1_0000

type Place = { readonly index: number; readonly name: string }

/** The token buckets at the roots of the namespace's devices, by the device's index. */
export function listRootTbfs(netlink: Netlink): Map<number, Tbf> {
  const payload = encodeQdisc({ index: 0, handle: 0, parent: 0 })
  const qdiscs = netlink
    .dump({ what: 'tc qdisc show', type: RTM_GETQDISC, payload })
    .filter(({ type }) => type === RTM_NEWQDISC)
    .map((message) => decodeQdisc(message.payload))
  return new Map(
    qdiscs.flatMap(({ index, parent, kind, options }) =>
      parent === TC_H_ROOT && kind === 'tbf' && options ? [[index, decodeTbf(options)] as const] : [],
    ),
  )
}

/** Replaces the queueing discipline at the root, whatever it is. ENOENT when the kernel has no sch_tbf. */
export function tbfReplace(device: Place, tbf: Tbf): Operation {
  const { rateBytesPerSecond, burstBytes, limitBytes } = tbf
  return {
    what: `tc qdisc replace dev ${device.name} root handle 1: tbf rate ${rateBytesPerSecond * 8}bit burst ${burstBytes} limit ${limitBytes}`,
    type: RTM_NEWQDISC,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    payload: encodeQdisc({ index: device.index, handle, parent: TC_H_ROOT, kind: 'tbf', options: encodeTbf(tbf) }),
  }
}
