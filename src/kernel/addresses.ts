// Addresses of devices.
import { type Addr } from '#/lib/addr.ts'
import {
  decodeAddr,
  encodeAddr,
  IFA_F_NODAD,
  IFA_F_NOPREFIXROUTE,
  IFA_F_PERMANENT,
  ownAddress,
  RTM_DELADDR,
  RTM_GETADDR,
  RTM_NEWADDR,
} from '#/wire/netlink/addr.ts'
import { NLM_F_CREATE, NLM_F_REPLACE } from '#/wire/netlink/message.ts'
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
    attrs: { address: addr, local: addr, ...(flags !== undefined && { flags }) },
  })
}

/**
 * Adds an address without duplicate address detection: allocation makes it unique, and detection would delay a pod by a second. One of full
 * length gets no route to itself, which the kernel would make for IPv6 only.
 */
export function addressAdd(device: Place, addr: Addr, prefixLength: number): Operation {
  const isV6 = addr.family === 6
  const isAlone = isV6 && prefixLength === addr.bits
  return {
    what: `ip addr replace ${addr}/${prefixLength} dev ${device.name}${isV6 ? ' nodad' : ''}${isAlone ? ' noprefixroute' : ''}`,
    type: RTM_NEWADDR,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    payload: payloadOf(
      device,
      addr,
      prefixLength,
      isV6 ? IFA_F_NODAD | (isAlone ? IFA_F_NOPREFIXROUTE : 0) : undefined,
    ),
  }
}

export function addressDelete(device: Place, addr: Addr, prefixLength: number): Operation {
  return {
    what: `ip addr del ${addr}/${prefixLength} dev ${device.name}`,
    type: RTM_DELADDR,
    payload: payloadOf(device, addr, prefixLength),
  }
}
