// UDP, TCP, SCTP, and VXLAN in UDP. Pure.
import { bitNames, type Header } from './header.ts'
import { type Next, type Wishes } from './layers.ts'

const vxlanHeaderBytes = 8
const leastTcpBytes = 20
const flagNames = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR'] as const

function readPorts(header: Header): { readonly source: number; readonly destination: number } {
  return { source: header.number('source port', 2), destination: header.number('destination port', 2) }
}

export function udp(header: Header, { vxlanPort }: Wishes): Next {
  const { destination } = readPorts(header)
  const length = header.number('length', 2)
  header.hex('checksum', 2)
  const isVxlan = destination === vxlanPort && header.at + vxlanHeaderBytes <= header.end
  return { layer: isVxlan ? 'vxlan' : 'payload', ...(length >= 8 && { end: header.start + length }) }
}

export function vxlan(header: Header): Next {
  header.hex('flags', 1, (value) => (value & 0x08 ? 'has a VNI' : 'has no VNI'))
  header.bytes(3)
  header.note('VNI', header.u32() >>> 8)
  return { layer: 'ethernet' }
}

/** One option of TCP in words; undefined where the rest of them cannot be read. */
function readOption(header: Header, end: number): string | undefined {
  const kind = header.u8()
  if (kind === 0) return undefined
  if (kind === 1) return ''
  if (header.at >= end) return undefined
  const length = header.u8()
  if (length < 2 || header.at + length - 2 > end) return undefined
  if (kind === 2 && length === 4) return `MSS ${header.u16()}`
  if (kind === 3 && length === 3) return `window scale ${header.u8()}`
  if (kind === 4 && length === 2) return 'SACK permitted'
  if (kind === 8 && length === 10) return `time stamps ${header.u32()} ${header.u32()}`
  header.bytes(length - 2)
  return `option ${kind}`
}

function readOptions(header: Header, length: number): void {
  const end = header.at + length
  const words: string[] = []
  while (header.at < end) {
    const word = readOption(header, end)
    if (word === undefined) break
    if (word !== '') words.push(word)
  }
  if (words.length > 0) header.note('options', words.join(', '))
  header.bytes(end - header.at)
}

export function tcp(header: Header): Next {
  readPorts(header)
  header.number('sequence', 4)
  header.number('acknowledgement', 4)
  const headerBytes = (header.u8() >> 4) * 4
  header.note('header', headerBytes, `${headerBytes} bytes`)
  const flags = header.u8()
  header.note('flags', flags, bitNames(flags, flagNames) || 'none')
  header.number('window', 2)
  header.hex('checksum', 2)
  const urgent = header.u16()
  if (urgent !== 0) header.note('urgent', urgent)
  readOptions(header, Math.max(headerBytes, leastTcpBytes) - leastTcpBytes)
  return { layer: 'payload' }
}

export function sctp(header: Header): Next {
  readPorts(header)
  header.hex('verification tag', 4)
  header.hex('checksum', 4)
  return { layer: 'payload' }
}
