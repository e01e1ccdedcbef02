// Addresses of network devices: struct ifaddrmsg and IFA_* (include/uapi/linux/if_addr.h).
import { type Addr } from '#/lib/addr.ts'
import { viewOf, WireError, Writer } from '#/lib/bytes.ts'
import { addr, type Attrs, nest, text, u32 } from './attr.ts'
import { AF_INET, AF_INET6 } from './family.ts'

export const RTM_NEWADDR = 20
export const RTM_DELADDR = 21
export const RTM_GETADDR = 22

export const IFA_F_NODAD = 0x02
export const IFA_F_PERMANENT = 0x80
export const IFA_F_NOPREFIXROUTE = 0x200

const spec = {
  address: [1, addr],
  local: [2, addr],
  label: [3, text],
  flags: [8, u32],
} as const
const addrAttrs = nest(spec)

export type AddrMessage = {
  readonly prefixLength: number
  readonly scope?: number
  readonly index: number
  readonly attrs: Attrs<typeof spec>
}

const headerBytes = 8

export function encodeAddr(message: AddrMessage): Uint8Array {
  const into = new Writer()
  const family = (message.attrs.local ?? message.attrs.address)?.family
  into.u8(family === undefined ? 0 : family === 4 ? AF_INET : AF_INET6)
  into.u8(message.prefixLength)
  into.u8(0)
  into.u8(message.scope ?? 0)
  into.u32le(message.index)
  addrAttrs.encode(message.attrs, into)
  return into.toBytes()
}

export function decodeAddr(payload: Uint8Array): Required<AddrMessage> {
  if (payload.length < headerBytes) throw new WireError('address message cut off', payload.length)
  const view = viewOf(payload)
  return {
    prefixLength: view.getUint8(1),
    scope: view.getUint8(3),
    index: view.getUint32(4, true),
    attrs: addrAttrs.decode(payload.subarray(headerBytes)),
  }
}

/** The address itself: IFA_LOCAL if present (IPv4), else IFA_ADDRESS. */
export function ownAddress(message: AddrMessage): Addr | undefined {
  return message.attrs.local ?? message.attrs.address
}
