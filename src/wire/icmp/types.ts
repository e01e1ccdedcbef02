// The types and codes of ICMP (RFC 792, RFC 1812) and ICMPv6 (RFC 4443, RFC 4861), and what they say in words. Pure.
import type { Family } from '#/lib/addr.ts'

export const echoRequest = { 4: 8, 6: 128 } as const
export const echoReply = { 4: 0, 6: 129 } as const
export const redirect = { 4: 5, 6: 137 } as const
export const portUnreachable = { 4: { type: 3, code: 3 }, 6: { type: 1, code: 4 } } as const
/** The code of ICMPv6's own type for that is not looked at. */
export const packetTooBig = { 4: { type: 3, code: 4 }, 6: { type: 2, code: 0 } } as const
/** Of ICMPv6: those that say which node has an address. */
export const neighbourSolicitation = 135
export const neighbourAdvertisement = 136

type Message = {
  readonly name: string
  readonly codes?: readonly string[]
  /** It quotes the packet that it is about. */
  readonly quotes?: true
}

const messages4: Readonly<Record<number, Message>> = {
  [echoReply[4]]: { name: 'echo reply' },
  3: {
    name: 'destination unreachable',
    quotes: true,
    codes: [
      'network unreachable',
      'host unreachable',
      'protocol unreachable',
      'port unreachable',
      'fragmentation needed',
      'source route failed',
      'network unknown',
      'host unknown',
      'source host isolated',
      'network prohibited',
      'host prohibited',
      'network unreachable for this type of service',
      'host unreachable for this type of service',
      'communication prohibited',
      'host precedence violation',
      'precedence cutoff',
    ],
  },
  4: { name: 'source quench', quotes: true },
  [redirect[4]]: {
    name: 'redirect',
    quotes: true,
    codes: [
      'redirect for the network',
      'redirect for the host',
      'redirect for the network and type of service',
      'redirect for the host and type of service',
    ],
  },
  [echoRequest[4]]: { name: 'echo request' },
  11: {
    name: 'time exceeded',
    quotes: true,
    codes: ['time to live exceeded in transit', 'fragment reassembly time exceeded'],
  },
  12: { name: 'parameter problem', quotes: true },
}

const messages6: Readonly<Record<number, Message>> = {
  1: {
    name: 'destination unreachable',
    quotes: true,
    codes: [
      'no route to destination',
      'communication prohibited',
      'beyond scope of source address',
      'address unreachable',
      'port unreachable',
      'source address failed policy',
      'route rejected',
    ],
  },
  2: { name: 'packet too big', quotes: true },
  3: {
    name: 'time exceeded',
    quotes: true,
    codes: ['hop limit exceeded in transit', 'fragment reassembly time exceeded'],
  },
  4: {
    name: 'parameter problem',
    quotes: true,
    codes: ['erroneous header field', 'unrecognised next header', 'unrecognised option'],
  },
  [echoRequest[6]]: { name: 'echo request' },
  [echoReply[6]]: { name: 'echo reply' },
  130: { name: 'multicast listener query' },
  131: { name: 'multicast listener report' },
  133: { name: 'router solicitation' },
  134: { name: 'router advertisement' },
  [neighbourSolicitation]: { name: 'neighbour solicitation' },
  [neighbourAdvertisement]: { name: 'neighbour advertisement' },
  [redirect[6]]: { name: 'redirect' },
  143: { name: 'multicast listener report' },
}

const messages = { 4: messages4, 6: messages6 } as const

/** Of ICMPv6, types that are not known here say by their highest bit whether they are errors. */
const leastInformation6 = 128

/** Whether a message quotes a packet that it is about. */
export function isIcmpError(family: Family, type: number): boolean {
  return family === 4 ? messages4[type]?.quotes === true : type < leastInformation6
}

export function icmpTypeName(family: Family, type: number): string | undefined {
  return messages[family][type]?.name
}

export function icmpCodeName(family: Family, type: number, code: number): string | undefined {
  return messages[family][type]?.codes?.[code]
}

/** What a message says, in the words of its code where it has any; undefined for a type that is not known here. */
export function icmpWords(family: Family, type: number, code: number): string | undefined {
  return icmpCodeName(family, type, code) ?? icmpTypeName(family, type)
}
