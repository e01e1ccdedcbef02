// Compiles matches to the kernel's expressions, the same ones that `nft` makes of the match's text.
import { type Family, type Prefix } from '#/lib/addr.ts'
import { macBytes } from '../ethernet/mac.ts'
import { type Expression, expression } from './expressions.ts'
import {
  BASE_LINK,
  BASE_NETWORK,
  BASE_TRANSPORT,
  compare,
  isBelow,
  isNotWithin,
  isWithin,
  loadMeta,
  loadPayload,
  lookup,
  maskOnly,
  META_IIFNAME,
  META_L4PROTO,
  META_MARK,
  META_NFPROTO,
  META_OIFNAME,
  META_PKTTYPE,
  META_PROTOCOL,
  META_RTCLASSID,
  native32,
  network16,
  network24,
  nfProtocols,
  PACKET_HOST,
  registerAt,
} from './instructions.ts'
import { paddedBytes, typeOfLookup } from './keys.ts'
import { etherTypes, ipProtocols } from './numbers.ts'
import { type NftFamily, type NftField, type NftLookup, type NftMatch, type NftProtocol } from './ruleset.ts'
import { encodeValue, type ValueSet, valueSet } from './value-set.ts'

const CT_STATE = 0
const CT_DIRECTION = 1
const CT_STATUS = 2
const CT_PROTO_DST = 12
const ctDirections = { original: 0, reply: 1 } as const
const IPS_DST_NAT = 0x20
const FIB_ADDRTYPE = 3
const FIB_SADDR = 1
const FIB_DADDR = 2
const RTN_LOCAL = 2
const IFNAMSIZ = 16

const ctStateBits = { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 } as const
/** Where the tag is in a frame. */
const vlanTagAt = { type: 12, id: 14 } as const
const etherTypeOf = { 4: etherTypes.ip, 6: etherTypes.ip6 } as const

/** The offsets of the addresses in the Ethernet header (IEEE 802.3). */
const macAt = { daddr: 0, saddr: 6 } as const
const macLength = 6
/** The I/G bit is the first bit of an address on the wire, the lowest one of its first byte. */
const groupBit = Uint8Array.of(1, 0, 0, 0, 0, 0)
/** The offsets of the addresses in the IPv4 and IPv6 headers (RFC 791 section 3.1, RFC 8200 section 3). */
const addressAt = { 4: { saddr: 12, daddr: 16, bytes: 4 }, 6: { saddr: 8, daddr: 24, bytes: 16 } } as const
/** The offsets of the TTL and of the hop limit in the same headers. */
const ttlAt = { 4: 8, 6: 7 } as const
/** The offsets of the ports in TCP, UDP and SCTP. */
const portAt = { sport: 0, dport: 2 } as const
/** The offset of the type in ICMP and ICMPv6 (RFC 792, RFC 4443). */
const icmpTypeAt = 0
/** The offset of TCP's flags (RFC 9293 section 3.1), and FIN, SYN, RST and ACK among them. */
const tcpFlagsAt = 13
const handshakeFlags = 0x17
const TCP_SYN = 0x02
/** The offset of the VNI: UDP's header has 8 bytes, and VXLAN's VNI follows after 4 more (RFC 7348 section 5). */
const vniAt = 12

/** What takes the place of a set without a name: the caller makes it and says how the rule refers to it. */
export type BindSet = (set: ValueSet) => { readonly set: string; readonly setId?: number }

/** The expressions that fix the IP family of a packet. */
export function matchIpFamily(ip: Family, family: NftFamily): Expression[] {
  // where packets have not reached the protocol families, only the Ethernet type is known
  return family !== 'inet'
    ? [loadMeta(META_PROTOCOL), compare(network16(etherTypeOf[ip]))]
    : [loadMeta(META_NFPROTO), compare(Uint8Array.of(nfProtocols[ip]))]
}

/** The expressions of a match, without those that fix the IP family. */
export function compileMatch(match: NftMatch, bind: BindSet): Expression[] {
  switch (match.kind) {
    case 'family':
      return []
    case 'addr':
      return matchPrefix(match.prefix, match.field, match.not)
    case 'addrSet': {
      const at = addressAt[match.family]
      return [loadPayload(BASE_NETWORK, at[match.field], at.bytes), lookup(match.set, match.not)]
    }
    case 'device':
      return [
        loadMeta(match.field === 'iifname' ? META_IIFNAME : META_OIFNAME),
        compare(deviceBytes(match.name), match.not),
      ]
    case 'l4proto':
      return [loadMeta(META_L4PROTO), compare(Uint8Array.of(protocolNumber(match.protocol)), match.not)]
    case 'l4protos':
      return [loadMeta(META_L4PROTO), ...isIn(protocolSet(match), match.not, bind)]
    case 'sport':
    case 'dport':
      return [loadPayload(BASE_TRANSPORT, portAt[match.kind], 2), compare(network16(match.port), match.not)]
    case 'ports':
      return [loadPayload(BASE_TRANSPORT, portAt[match.field], 2), ...isIn(portSet(match), match.not, bind)]
    case 'icmpType':
      return [loadPayload(BASE_TRANSPORT, icmpTypeAt, 1), ...isIn(icmpTypeSet(match), match.not, bind)]
    case 'tcpSyn':
      return [
        loadPayload(BASE_TRANSPORT, tcpFlagsAt, 1),
        maskOnly(Uint8Array.of(handshakeFlags)),
        compare(Uint8Array.of(TCP_SYN), match.not),
      ]
    case 'ttlBelow':
      return [loadPayload(BASE_NETWORK, ttlAt[match.family], 1), isBelow(Uint8Array.of(match.ttl))]
    case 'vni':
      return [loadPayload(BASE_TRANSPORT, vniAt, 3), compare(network24(match.vni), match.not)]
    case 'daddrLocal':
    case 'saddrLocal':
      return [
        expression('fib', {
          dreg: registerAt(0),
          result: FIB_ADDRTYPE,
          flags: match.kind === 'daddrLocal' ? FIB_DADDR : FIB_SADDR,
        }),
        compare(native32(RTN_LOCAL), match.not),
      ]
    case 'mark':
      return [loadMeta(META_MARK), maskOnly(native32(match.mask)), compare(native32(match.value), match.not)]
    case 'ctState': {
      const bits = match.states.reduce((all, state) => all | ctStateBits[state], 0)
      return [
        expression('ct', { dreg: registerAt(0), key: CT_STATE }),
        maskOnly(native32(bits)),
        compare(native32(0), true),
      ]
    }
    case 'ctDnat':
      return [
        expression('ct', { dreg: registerAt(0), key: CT_STATUS }),
        maskOnly(native32(IPS_DST_NAT)),
        compare(native32(0), true),
      ]
    case 'ctOriginalPort':
      return [
        expression('ct', { dreg: registerAt(0), key: CT_PROTO_DST, direction: ctDirections.original }),
        compare(network16(match.port)),
      ]
    case 'ctDirection':
      return [
        expression('ct', { dreg: registerAt(0), key: CT_DIRECTION }),
        compare(Uint8Array.of(ctDirections[match.direction])),
      ]
    case 'etherType':
      return [loadMeta(META_PROTOCOL), ...isIn(etherTypeSet(match), match.not, bind)]
    case 'etherAddr':
      return [loadPayload(BASE_LINK, macAt[match.field], macLength), compare(macBytes(match.mac), match.not)]
    case 'etherMulticast':
      return [
        loadPayload(BASE_LINK, macAt.daddr, macLength),
        maskOnly(groupBit),
        compare(match.not ? new Uint8Array(macLength) : groupBit),
      ]
    case 'vlan':
      return [
        loadPayload(BASE_LINK, vlanTagAt.type, 2),
        compare(network16(etherTypes['8021q'])),
        loadPayload(BASE_LINK, vlanTagAt.id, 2),
        maskOnly(network16(0x0fff)),
        compare(network16(0), true),
      ]
    case 'pktTypeHost':
      return [loadMeta(META_PKTTYPE), compare(Uint8Array.of(PACKET_HOST), match.not)]
    // loading it already ends the rule where there is no route
    case 'hasRoute':
      return [loadMeta(META_RTCLASSID), compare(native32(0))]
    case 'limit':
      return [
        expression('limit', { rate: BigInt(match.packetsPerSecond), unit: 1n, burst: match.burst, type: 0, flags: 0 }),
      ]
    case 'keySet':
      return [...loadKey(match), lookup(match.set, match.not)]
    default:
      return match satisfies never
  }
}

type Of<K extends NftMatch['kind']> = Extract<NftMatch, { readonly kind: K }>

export function protocolNumber(protocol: NftProtocol): number {
  return typeof protocol === 'number' ? protocol : ipProtocols[protocol]
}

/** The numbers that a match with a list stands for. */
export const protocolSet = ({ protocols }: Of<'l4protos'>): ValueSet =>
  valueSet('inet_proto', protocols.map(protocolNumber).map(single))
export const portSet = ({ ranges }: Of<'ports'>): ValueSet => valueSet('inet_service', ranges)
export const icmpTypeSet = ({ family, types }: Of<'icmpType'>): ValueSet =>
  valueSet(family === 4 ? 'icmp_type' : 'icmpv6_type', types.map(single))
const etherTypeSet = ({ types }: Of<'etherType'>): ValueSet =>
  valueSet('ether_type', types.map((type) => etherTypes[type]).map(single))
const single = (value: number): { first: number; last: number } => ({ first: value, last: value })

/** One number or one range is compared with, more of them are looked up. */
function isIn(set: ValueSet, not = false, bind: BindSet): Expression[] {
  const [range, ...others] = set.ranges
  if (range === undefined || others.length > 0) {
    return [expression('lookup', { ...bind(set), sreg: registerAt(0), flags: not ? 1 : 0 })]
  }
  const first = encodeValue(set.type, range.first)
  if (range.first === range.last) return [compare(first, not)]
  const last = encodeValue(set.type, range.last)
  return not ? [isNotWithin(first, last)] : isWithin(first, last)
}

/** Loads the fields behind one another, each padded to four bytes. */
function loadKey(lookedUp: NftLookup): Expression[] {
  let offset = 0
  return typeOfLookup(lookedUp).map((type, index) => {
    const dreg = registerAt(offset)
    offset += paddedBytes(type)
    return loadField(lookedUp.fields[index]!, lookedUp.family ?? 4, dreg)
  })
}

function loadField(field: NftField, family: Family, dreg: number): Expression {
  switch (field) {
    case 'saddr':
    case 'daddr':
      return loadPayload(BASE_NETWORK, addressAt[family][field], addressAt[family].bytes, dreg)
    case 'l4proto':
      return loadMeta(META_L4PROTO, dreg)
    case 'sport':
    case 'dport':
      return loadPayload(BASE_TRANSPORT, portAt[field], 2, dreg)
    default:
      return loadMeta(field === 'iifname' ? META_IIFNAME : META_OIFNAME, dreg)
  }
}

/** Loads only the bytes of the prefix when it ends at a byte; otherwise masks the whole address. */
function matchPrefix(prefix: Prefix, field: 'saddr' | 'daddr', not = false): Expression[] {
  const at = addressAt[prefix.family]
  const value = prefix.addr.toBytes()
  if (prefix.length > 0 && prefix.length % 8 === 0) {
    const bytes = prefix.length / 8
    return [loadPayload(BASE_NETWORK, at[field], bytes), compare(value.subarray(0, bytes), not)]
  }
  return [loadPayload(BASE_NETWORK, at[field], at.bytes), maskOnly(maskBytes(prefix)), compare(value, not)]
}

function maskBytes({ addr, length }: Prefix): Uint8Array {
  return Uint8Array.from({ length: addr.bits / 8 }, (_, index) => {
    const bits = Math.min(8, Math.max(0, length - 8 * index))
    return (0xff << (8 - bits)) & 0xff
  })
}

/** The bytes to compare with. A complete name is compared with its padding, so that it does not match a longer name. */
function deviceBytes(name: string): Uint8Array {
  const isPrefix = name.endsWith('*')
  const bytes = new TextEncoder().encode(isPrefix ? name.slice(0, -1) : name)
  if (isPrefix) return bytes
  const padded = new Uint8Array(IFNAMSIZ)
  padded.set(bytes)
  return padded
}
