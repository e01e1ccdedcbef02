// Neighbour entries: struct ndmsg and NDA_* (include/uapi/linux/neighbour.h).
import { type Addr } from '#/lib/addr.ts'
import { viewOf, WireError, Writer } from '#/lib/bytes.ts'
import { addr, mac, nest, u16, u32 } from './attr.ts'
import { afOf, familyOf } from './family.ts'

export const RTM_NEWNEIGH = 28
export const RTM_DELNEIGH = 29
export const RTM_GETNEIGH = 30

export const NUD_PERMANENT = 0x80

/** What the kernel knows of a neighbour (NUD_*). Only with the first ones has it a MAC to send to. */
const stateNames: Readonly<Record<number, NeighbourState>> = {
  0x80: 'permanent',
  0x40: 'noarp',
  0x02: 'reachable',
  0x04: 'stale',
  0x08: 'delay',
  0x10: 'probe',
  0x01: 'incomplete',
  0x20: 'failed',
}
export const neighbourStates = [
  'permanent',
  'noarp',
  'reachable',
  'stale',
  'delay',
  'probe',
  /** The kernel asks for its MAC, and packets wait. */
  'incomplete',
  /** It did not answer. */
  'failed',
  'none',
] as const
export type NeighbourState = (typeof neighbourStates)[number]

export function neighbourState(state: number): NeighbourState {
  return stateNames[state] ?? 'none'
}

const neighAttrs = nest({ dst: [1, addr], mac: [2, mac] })
const AF_BRIDGE = 7
const NTF_SELF = 0x02
const NTF_MASTER = 0x04
const NUD_NOARP = 0x40
const fdbAttrs = nest({ dst: [1, addr], mac: [2, mac], vlan: [5, u16], vni: [7, u32], master: [9, u32] })

/** An entry of a bridge's or a VXLAN device's forwarding database. */
export type FdbEntry = {
  readonly mac: string
  /** The device by which frames to the MAC leave. */
  readonly index: number
  /** The bridge whose entry it is; absent for an entry of the device itself, as a VXLAN device has them. */
  readonly master?: number
  readonly vlan?: number
  /** Of a VXLAN device: the tunnel end that has the MAC. */
  readonly dst?: Addr
  readonly vni?: number
  /** `own`: the MAC is the port's or the bridge's own; `static`: somebody set it; `learned`: from frames. */
  readonly origin: 'own' | 'static' | 'learned'
}

export type Neighbour = { readonly index: number; readonly state: number; readonly addr: Addr; readonly mac?: string }

const headerBytes = 12

export function encodeNeigh(neighbour: Neighbour): Uint8Array {
  const into = new Writer()
  into.u8(afOf(neighbour.addr.family))
  into.reserve(3)
  into.u32le(neighbour.index)
  into.u16le(neighbour.state)
  into.reserve(2)
  neighAttrs.encode({ dst: neighbour.addr, ...(neighbour.mac && { mac: neighbour.mac }) }, into)
  return into.toBytes()
}

/** Decodes an entry; undefined for other families (FDB entries of bridges among them). */
export function decodeNeigh(payload: Uint8Array): Neighbour | undefined {
  if (payload.length < headerBytes) throw new WireError('neighbour message cut off', payload.length)
  const view = viewOf(payload)
  if (familyOf(view.getUint8(0)) === undefined) return undefined
  const attrs = neighAttrs.decode(payload.subarray(headerBytes))
  if (!attrs.dst) return undefined
  return {
    index: view.getInt32(4, true),
    state: view.getUint16(8, true),
    addr: attrs.dst,
    ...(attrs.mac && { mac: attrs.mac }),
  }
}

/** The payload of a request for one neighbour. */
export function encodeNeighLookup(index: number, dst: Addr): Uint8Array {
  return encodeNeigh({ index, state: 0, addr: dst })
}

const NTF_USE = 0x01

/** The payload of a request to ask for a neighbour's MAC. */
export function encodeNeighUse(index: number, dst: Addr): Uint8Array {
  const payload = encodeNeighLookup(index, dst)
  payload[10] = NTF_USE
  return payload
}

/** The payload of a dump of forwarding databases, or with a MAC, of a request for the bridge's entry of it. */
export function encodeFdbLookup(lookup?: { readonly bridge: number; readonly mac: string }): Uint8Array {
  const into = new Writer()
  into.u8(AF_BRIDGE)
  into.reserve(headerBytes - 1)
  if (lookup) fdbAttrs.encode({ mac: lookup.mac, master: lookup.bridge }, into)
  return into.toBytes()
}

/** Decodes an entry of a forwarding database; undefined for others. */
export function decodeFdb(payload: Uint8Array): FdbEntry | undefined {
  if (payload.length < headerBytes) throw new WireError('neighbour message cut off', payload.length)
  const view = viewOf(payload)
  if (view.getUint8(0) !== AF_BRIDGE) return undefined
  const attrs = fdbAttrs.decode(payload.subarray(headerBytes))
  if (attrs.mac === undefined) return undefined
  const [state, flags] = [view.getUint16(8, true), view.getUint8(10)]
  const isOwn = (state & NUD_PERMANENT) !== 0
  return {
    mac: attrs.mac,
    index: view.getInt32(4, true),
    ...(attrs.master !== undefined && (flags & (NTF_SELF | NTF_MASTER)) !== NTF_SELF && { master: attrs.master }),
    ...(attrs.vlan !== undefined && { vlan: attrs.vlan }),
    ...(attrs.dst && { dst: attrs.dst }),
    ...(attrs.vni !== undefined && { vni: attrs.vni }),
    origin: isOwn ? 'own' : (state & NUD_NOARP) !== 0 ? 'static' : 'learned',
  }
}
