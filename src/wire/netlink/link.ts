// Network devices: struct ifinfomsg and IFLA_* (include/uapi/linux/if_link.h).
import { viewOf, WireError, Writer } from '#/lib/bytes.ts'
import { AF_INET6 } from './family.ts'
import { addr, type Attrs, be16, bytesOf, eachAttr, mac, nest, raw, text, u32, u8 } from './attr.ts'

export const RTM_NEWLINK = 16
export const RTM_DELLINK = 17
export const RTM_GETLINK = 18

export const ARPHRD_ETHER = 1
export const IFF_UP = 0x1
export const IFF_NOARP = 0x80
/** There is something at the other end of a device that is up. */
export const IFF_LOWER_UP = 0x1_0000

const info = nest({
  kind: [1, text],
  data: [2, raw],
  portKind: [4, text],
  portData: [5, raw],
})

const spec = {
  mac: [1, mac],
  name: [3, text],
  mtu: [4, u32],
  link: [5, u32],
  qdisc: [6, text],
  master: [10, u32],
  operState: [16, u8],
  info: [18, info],
  alias: [20, text],
  group: [27, u32],
  netnsFd: [28, u32],
  txQueues: [31, u32],
  rxQueues: [32, u32],
  linkNetnsid: [37, u32],
  xdp: [43, nest({ programId: [4, u32] })],
} as const
const linkAttrs = nest(spec)

export type LinkAttrs = Attrs<typeof spec>

/** One RTM_*LINK message. `change` is the mask of the `flags` that the kernel is to change. */
export type LinkMessage = {
  readonly family?: number
  /** ARPHRD_*, which only the kernel sets. */
  readonly hardwareType?: number
  readonly index?: number
  readonly flags?: number
  readonly change?: number
  readonly attrs: LinkAttrs
}

const headerBytes = 16

export function encodeLink(message: LinkMessage): Uint8Array {
  const into = new Writer()
  into.u8(message.family ?? 0)
  into.reserve(3)
  into.u32le(message.index ?? 0)
  into.u32le(message.flags ?? 0)
  into.u32le(message.change ?? 0)
  linkAttrs.encode(message.attrs, into)
  return into.toBytes()
}

/** A table of its own, as IFLA_AF_SPEC is the largest part of every message of the kernel and nothing in it is read. */
const addrGenAttrs = nest({
  name: spec.name,
  afSpec: [26, nest({ inet6: [AF_INET6, nest({ addrGenMode: [8, u8] })] })],
})

/** Changes how a device gets an IPv6 link-local address: one of IN6_ADDR_GEN_MODE_* (include/uapi/linux/if_link.h). */
export function encodeAddrGenMode(name: string, addrGenMode: number): Uint8Array {
  const into = new Writer()
  into.reserve(headerBytes)
  addrGenAttrs.encode({ name, afSpec: { inet6: { addrGenMode } } }, into)
  return into.toBytes()
}

export function decodeLink(payload: Uint8Array): Required<Omit<LinkMessage, 'change'>> {
  if (payload.length < headerBytes) throw new WireError('link message cut off', payload.length)
  const view = viewOf(payload)
  return {
    family: view.getUint8(0),
    hardwareType: view.getUint16(2, true),
    index: view.getInt32(4, true),
    flags: view.getUint32(8, true),
    attrs: linkAttrs.decode(payload.subarray(headerBytes)),
  }
}

/** The name in a link message, without reading its other attributes. */
export function nameOfLink(payload: Uint8Array): string {
  if (payload.length < headerBytes) throw new WireError('link message cut off', payload.length)
  const attrs = payload.subarray(headerBytes)
  let name = ''
  eachAttr(attrs, (type, start, end) => {
    if (type === spec.name[0]) name = text.decode(attrs.subarray(start, end))
  })
  return name
}

/** The index in a link message, without reading its attributes. */
export function indexOfLink(payload: Uint8Array): number {
  if (payload.length < headerBytes) throw new WireError('link message cut off', payload.length)
  return viewOf(payload).getInt32(4, true)
}

/** IFLA_INFO_DATA of a VXLAN device. `external` is collect-metadata mode: the route provides the tunnel's ends. */
export const vxlanData = nest({
  id: [1, u32],
  local4: [4, addr],
  learning: [7, u8],
  port: [15, be16],
  local6: [17, addr],
  external: [25, u8],
})

/** IFLA_INFO_DATA of a bridge (IFLA_BR_*). */
export const bridgeData = nest({ stp: [5, u32], vlanFiltering: [7, u8] })

/** IFLA_INFO_SLAVE_DATA of a bridge port (IFLA_BRPORT_*). `state` is one of BR_STATE_* (include/uapi/linux/if_bridge.h). */
export const bridgePortData = nest({
  state: [1, u8],
  hairpin: [4, u8],
  learning: [8, u8],
  unicastFlood: [9, u8],
  mcastFlood: [27, u8],
  bcastFlood: [30, u8],
  neighSuppress: [32, u8],
  isolated: [33, u8],
  locked: [39, u8],
})

export const BR_STATE_DISABLED = 0
export const BR_STATE_FORWARDING = 3

/** IF_OPER_UP of include/uapi/linux/if.h: there is a carrier. */
export const IF_OPER_UP = 6

const VETH_INFO_PEER = 1

/** IFLA_INFO_DATA of a veth: a link message that describes its other end. */
export function vethData(peer: LinkMessage): Uint8Array {
  return bytesOf(nest({ peer: [VETH_INFO_PEER, raw] }), { peer: encodeLink(peer) })
}
