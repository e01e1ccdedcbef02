// IPv4 with options, and IPv6 with its extension headers. Pure.
import { type Header } from './header.ts'
import { type Next } from './layers.ts'
import { layerOfProtocol, protocolName } from './names.ts'

const classNames = ['not ECN-capable', 'ECN-capable (1)', 'ECN-capable (0)', 'congestion'] as const
const leastHeaderBytes = 20

function noteClass(header: Header, value: number): void {
  header.note('DSCP', value >> 2)
  header.note('ECN', value & 3, classNames[value & 3])
}

/** In a later fragment there is no header of the transport. */
function nextOf(protocol: number, family: 4 | 6, isLaterFragment: boolean, end?: number): Next {
  const layer = isLaterFragment ? 'payload' : layerOfProtocol(protocol, family)
  return { layer, ...(end !== undefined && { end }) }
}

export function ipv4(header: Header): Next {
  const first = header.u8()
  const headerBytes = (first & 0x0f) * 4
  header.note('version', first >> 4)
  header.note('header', headerBytes, `${headerBytes} bytes`)
  noteClass(header, header.u8())
  const length = header.number('length', 2)
  header.hex('id', 2)
  const fragment = header.u16()
  const flags = [fragment & 0x4000 ? 'DF' : '', fragment & 0x2000 ? 'MF' : ''].filter(Boolean).join(' ')
  header.note('flags', fragment >> 13, flags || 'none')
  const offset = (fragment & 0x1fff) * 8
  if (offset > 0 || fragment & 0x2000) header.note('fragment offset', offset)
  header.number('TTL', 1)
  const protocol = header.number('protocol', 1, protocolName)
  header.hex('checksum', 2)
  header.addr('source', 4)
  header.addr('destination', 4)
  header.raw('options', Math.max(headerBytes, leastHeaderBytes) - leastHeaderBytes)
  // an offloaded packet may be longer than its length field can say: it says 0 then
  return nextOf(protocol, 4, offset > 0, length >= headerBytes ? header.start + length : undefined)
}

export function ipv6(header: Header): Next {
  const first = header.u32()
  header.note('version', first >>> 28)
  noteClass(header, (first >>> 20) & 0xff)
  const label = first & 0xf_ffff
  header.note('flow label', label, `0x${label.toString(16).padStart(5, '0')}`)
  const length = header.number('payload length', 2)
  const protocol = header.number('next header', 1, protocolName)
  header.number('hop limit', 1)
  header.addr('source', 16)
  header.addr('destination', 16)
  return nextOf(protocol, 6, false, length > 0 ? header.at + length : undefined)
}

export function ipv6Options(header: Header): Next {
  const protocol = header.number('next header', 1, protocolName)
  const length = header.u8()
  header.raw('options', 6 + length * 8)
  return nextOf(protocol, 6, false)
}

export function ipv6Routing(header: Header): Next {
  const protocol = header.number('next header', 1, protocolName)
  const length = header.u8()
  header.number('routing type', 1)
  header.number('segments left', 1)
  header.raw('data', 4 + length * 8)
  return nextOf(protocol, 6, false)
}

export function ipv6Fragment(header: Header): Next {
  const protocol = header.number('next header', 1, protocolName)
  header.bytes(1)
  const fragment = header.u16()
  const offset = fragment & 0xfff8
  header.note('fragment offset', offset)
  header.note('more fragments', fragment & 1, fragment & 1 ? 'yes' : 'no')
  header.hex('id', 4)
  return nextOf(protocol, 6, offset > 0)
}

/** The authentication header, of either family. It is told with its first 12 bytes; what proves them is behind. */
export function ah(header: Header): Next {
  const protocol = header.number('next header', 1, protocolName)
  const length = header.u8()
  header.bytes(2)
  header.hex('SPI', 4)
  header.number('sequence', 4)
  header.raw('check value', Math.max(0, (length + 2) * 4 - 12))
  return nextOf(protocol, 6, false)
}
