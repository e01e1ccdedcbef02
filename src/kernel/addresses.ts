// Addresses of devices.
import { type Addr } from '#/lib/addr.ts'
import {
  decodeAddr,
  encodeAddr,
  IFA_F_NODAD,
  IFA_F_PERMANENT,
  ownAddress,
  RTM_DELADDR,
  RTM_GETADDR,
  RTM_NEWADDR,
} from '#/wire/netlink/addr.ts'
import { NLM_F_CREATE, NLM_F_REPLACE } from '#/wire/netlink/message.ts'
import { RT_SCOPE_LINK } from '#/wire/netlink/route.ts'
import { type Netlink, type Operation } from './netlink.ts'

export type DeviceAddress = {
  readonly index: number
  readonly addr: Addr
  readonly prefixLength: number
  /** False for an address that the kernel made by itself from router advertisements. */
  readonly isPermanent: boolean
}

export function listAddresses(netlink: Netlink): DeviceAddress[] {
  return netlink
    .dump({ what: 'ip addr show', type: RTM_GETADDR, payload: encodeAddr({ prefixLength: 0, index: 0, attrs: {} }) })
    .filter(({ type }) => type === RTM_NEWADDR)
    .flatMap(({ payload }) => {
      const message = decodeAddr(payload)
      const addr = ownAddress(message)
      if (!addr) return []
      const isPermanent = ((message.attrs.flags ?? 0) & IFA_F_PERMANENT) !== 0
      return [{ index: message.index, addr, prefixLength: message.prefixLength, isPermanent }]
    })
}

type Place = { readonly index: number; readonly name: string }

function payloadOf(device: Place, addr: Addr, prefixLength: number, flags?: number): Uint8Array {
  return encodeAddr({
    prefixLength,
    index: device.index,
    ...(isOfLink(addr) && { scope: RT_SCOPE_LINK }),
    attrs: { address: addr, local: addr, ...(flags !== undefined && { flags }) },
  })
}

/** Whether an address gets scope link: the kernel then never uses it as source or for masquerading elsewhere (inet_select_addr). */
function isOfLink(addr: Addr): boolean {
  return addr.family === 4 && addr.isLinkLocal
}

/** Adds an address without duplicate address detection: allocation makes it unique, and detection would delay a pod by a second. */
export function addressAdd(device: Place, addr: Addr, prefixLength: number): Operation {
  const isV6 = addr.family === 6
  return {
    what: `ip addr replace ${addr}/${prefixLength} dev ${device.name}${isV6 ? ' nodad' : ''}${isOfLink(addr) ? ' scope link' : ''}`,
    type: RTM_NEWADDR,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    payload: payloadOf(device, addr, prefixLength, isV6 ? IFA_F_NODAD : undefined),
  }
}

export function addressDelete(device: Place, addr: Addr, prefixLength: number): Operation {
  return {
    what: `ip addr del ${addr}/${prefixLength} dev ${device.name}`,
    type: RTM_DELADDR,
    payload: payloadOf(device, addr, prefixLength),
  }
}
