// Neighbour entries: struct ndmsg and NDA_* (include/uapi/linux/neighbour.h).
import { type Addr } from '#/lib/addr.ts'
import { viewOf, WireError, Writer } from '#/lib/bytes.ts'
import { addr, mac, nest } from './attr.ts'
import { afOf, familyOf } from './family.ts'

export const RTM_NEWNEIGH = 28
export const RTM_DELNEIGH = 29
export const RTM_GETNEIGH = 30

export const NUD_PERMANENT = 0x80

const neighAttrs = nest({ dst: [1, addr], mac: [2, mac] })

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
