// ICMP and ICMPv6: echoes, neighbour discovery, and errors with the packet that they quote. Pure.
import { type Family } from '#/lib/addr.ts'
import {
  echoReply,
  echoRequest,
  icmpCodeName,
  icmpTypeName,
  isIcmpError,
  neighbourAdvertisement,
  neighbourSolicitation,
  packetTooBig,
  redirect,
} from '../icmp/types.ts'
import { type Header } from './header.ts'
import { type Next } from './layers.ts'

/** From the highest bit on. */
const neighbourFlags = ['router', 'solicited', 'override'] as const

function readStart(header: Header, family: Family): { readonly type: number; readonly code: number } {
  const type = header.number('type', 1, (value) => icmpTypeName(family, value))
  const code = header.number('code', 1, (value) => icmpCodeName(family, type, value))
  header.hex('checksum', 2)
  return { type, code }
}

const isEcho = (family: Family, type: number): boolean => type === echoRequest[family] || type === echoReply[family]

function readEcho(header: Header): Next {
  header.number('id', 2)
  header.number('sequence', 2)
  return { layer: 'payload' }
}

export function icmp(header: Header): Next {
  const { type, code } = readStart(header, 4)
  if (isEcho(4, type)) return readEcho(header)
  if (!isIcmpError(4, type)) return { layer: 'payload' }
  if (type === redirect[4]) header.addr('gateway', 4)
  else if (type === packetTooBig[4].type && code === packetTooBig[4].code) {
    header.bytes(2)
    header.number('MTU', 2)
  } else header.bytes(4)
  return { layer: 'ipv4', isQuoted: true }
}

export function icmpv6(header: Header): Next {
  const { type } = readStart(header, 6)
  if (isEcho(6, type)) return readEcho(header)
  if (isIcmpError(6, type)) {
    if (type === packetTooBig[6].type) header.number('MTU', 4)
    else header.bytes(4)
    return { layer: 'ipv6', isQuoted: true }
  }
  if (type === neighbourSolicitation || type === neighbourAdvertisement) {
    const flags = header.u32()
    const names = neighbourFlags.filter((_, bit) => (flags & (0x8000_0000 >>> bit)) !== 0)
    if (type === neighbourAdvertisement) header.note('flags', flags, names.join(' ') || 'none')
    header.addr('target', 16)
  }
  return { layer: 'payload' }
}
