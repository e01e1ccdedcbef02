// ICMP and ICMPv6: echoes, neighbour discovery, and errors with the packet that they quote. Pure.
import { type Header } from './header.ts'
import { type Next } from './layers.ts'

const unreachable4 = [
  'network unreachable',
  'host unreachable',
  'protocol unreachable',
  'port unreachable',
  'fragmentation needed',
  'source route failed',
  'network unknown',
  'host unknown',
  'host isolated',
  'network prohibited',
  'host prohibited',
  'network unreachable for this class',
  'host unreachable for this class',
  'prohibited by filter',
  'precedence violation',
  'precedence cutoff',
] as const

const types4: Readonly<Record<number, string>> = {
  0: 'echo reply',
  3: 'destination unreachable',
  4: 'source quench',
  5: 'redirect',
  8: 'echo request',
  11: 'time exceeded',
  12: 'parameter problem',
}

const codes4: Readonly<Record<number, readonly string[]>> = {
  3: unreachable4,
  5: ['for the network', 'for the host', 'for the network and class', 'for the host and class'],
  11: ['TTL is over', 'a fragment is missing'],
}

const types6: Readonly<Record<number, string>> = {
  1: 'destination unreachable',
  2: 'packet too big',
  3: 'time exceeded',
  4: 'parameter problem',
  128: 'echo request',
  129: 'echo reply',
  130: 'multicast listener query',
  131: 'multicast listener report',
  133: 'router solicitation',
  134: 'router advertisement',
  135: 'neighbour solicitation',
  136: 'neighbour advertisement',
  137: 'redirect',
  143: 'multicast listener report',
}

const codes6: Readonly<Record<number, readonly string[]>> = {
  1: [
    'no route',
    'prohibited',
    'beyond the scope of the source',
    'address unreachable',
    'port unreachable',
    'the source fails a policy',
    'the route rejects it',
  ],
  3: ['hop limit is over', 'a fragment is missing'],
  4: ['wrong field', 'unknown next header', 'unknown option'],
}

const errors4: readonly number[] = [3, 4, 5, 11, 12]
/** Smaller types of ICMPv6 are errors. */
const leastInformation6 = 128
/** From the highest bit on. */
const neighbourFlags = ['router', 'solicited', 'override'] as const

function readStart(
  header: Header,
  types: Readonly<Record<number, string>>,
  codes: Readonly<Record<number, readonly string[]>>,
): { readonly type: number; readonly code: number } {
  const type = header.number('type', 1, (value) => types[value])
  const code = header.number('code', 1, (value) => codes[type]?.[value])
  header.hex('checksum', 2)
  return { type, code }
}

function readEcho(header: Header): Next {
  header.number('id', 2)
  header.number('sequence', 2)
  return { layer: 'payload' }
}

export function icmp(header: Header): Next {
  const { type, code } = readStart(header, types4, codes4)
  if (type === 8 || type === 0) return readEcho(header)
  if (!errors4.includes(type)) return { layer: 'payload' }
  if (type === 5) header.addr('gateway', 4)
  else if (type === 3 && code === 4) {
    header.bytes(2)
    header.number('MTU', 2)
  } else header.bytes(4)
  return { layer: 'ipv4', isQuoted: true }
}

export function icmpv6(header: Header): Next {
  const { type } = readStart(header, types6, codes6)
  if (type === 128 || type === 129) return readEcho(header)
  if (type < leastInformation6) {
    if (type === 2) header.number('MTU', 4)
    else header.bytes(4)
    return { layer: 'ipv6', isQuoted: true }
  }
  if (type === 135 || type === 136) {
    const flags = header.u32()
    const names = neighbourFlags.filter((_, bit) => (flags & (0x8000_0000 >>> bit)) !== 0)
    if (type === 136) header.note('flags', flags, names.join(' ') || 'none')
    header.addr('target', 16)
  }
  return { layer: 'payload' }
}
