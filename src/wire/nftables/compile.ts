// Compiles a rule to the kernel's expressions, the same ones that `nft` makes of the rule's text (`nft --debug=netlink` shows them).
import { type Family, type Prefix } from '#/lib/addr.ts'
import { type Expression, expression } from './expressions.ts'
import { ipFamilyOf, type NftAction, type NftFamily, type NftMatch, type NftRule } from './ruleset.ts'

/** Registers: 0 holds verdicts, 1 and 2 have 16 bytes. Each match loads and compares at once, so only a translation needs both. */
const verdictRegister = 0
const register = 1
const secondRegister = 2

const META_PROTOCOL = 1
const META_MARK = 3
const META_IIFNAME = 6
const META_OIFNAME = 7
const META_NFPROTO = 15
const META_L4PROTO = 16
const META_PKTTYPE = 19
const PACKET_HOST = 0

const BASE_NETWORK = 1
const BASE_TRANSPORT = 2

const CMP_EQ = 0
const CMP_NEQ = 1
const CMP_LT = 2
const LOOKUP_INV = 1
const CT_STATE = 0
const CT_STATUS = 2
const CT_PROTO_DST = 12
const IP_CT_DIR_ORIGINAL = 0
const IPS_DST_NAT = 0x20
const NFT_NAT_DNAT = 1
/** NF_NAT_RANGE_MAP_IPS and NF_NAT_RANGE_PROTO_SPECIFIED, as the kernel tells them of a translation to an address and a port. */
const toAddressAndPort = 3
const FIB_ADDRTYPE = 3
const FIB_DADDR = 2
const RTN_LOCAL = 2
const IFNAMSIZ = 16

const NF_DROP = 0
const NF_ACCEPT = 1
/** NFT_JUMP is -3, NFT_RETURN -5. */
const NFT_JUMP = 0xfffffffd
const NFT_RETURN = 0xfffffffb
const NF_NAT_RANGE_PROTO_RANDOM_FULLY = 0x10

const ctStateBits = { established: 2, related: 4 } as const
const ipProtocols = { tcp: 6, udp: 17, sctp: 132 } as const
const nfProtocols = { 4: 2, 6: 10 } as const
const etherTypes = { 4: 0x0800, 6: 0x86dd } as const

/** The offsets of the addresses in the IPv4 and IPv6 headers (RFC 791 section 3.1, RFC 8200 section 3). */
const addressAt = { 4: { saddr: 12, daddr: 16, bytes: 4 }, 6: { saddr: 8, daddr: 24, bytes: 16 } } as const
/** The offsets of the TTL and of the hop limit in the same headers. */
const ttlAt = { 4: 8, 6: 7 } as const
/** The offsets of the ports in TCP, UDP and SCTP. */
const portAt = { sport: 0, dport: 2 } as const
/** The offset of TCP's flags (RFC 9293 section 3.1), and FIN, SYN, RST and ACK among them. */
const tcpFlagsAt = 13
const handshakeFlags = 0x17
const TCP_SYN = 0x02
/** The offset of the VNI: UDP's header has 8 bytes, and VXLAN's VNI follows after 4 more (RFC 7348 section 5). */
const vniAt = 12

const native32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer)
const network16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff)
const network24 = (value: number): Uint8Array => Uint8Array.of(value >> 16, (value >> 8) & 0xff, value & 0xff)

const loadMeta = (key: number): Expression => expression('meta', { dreg: register, key })
const storeMeta = (key: number): Expression => expression('meta', { key, sreg: register })
const loadPayload = (base: number, offset: number, len: number): Expression =>
  expression('payload', { dreg: register, base, offset, len })
const compare = (value: Uint8Array, not = false): Expression =>
  expression('cmp', { sreg: register, op: not ? CMP_NEQ : CMP_EQ, data: { value } })
const loadValue = (value: Uint8Array, dreg = register): Expression => expression('immediate', { dreg, data: { value } })
const verdict = (code: number, chain?: string): Expression =>
  expression('immediate', {
    dreg: verdictRegister,
    data: { verdict: { code, ...(chain !== undefined && { chain }) } },
  })
const maskAndXor = (mask: Uint8Array, xor: Uint8Array): Expression =>
  expression('bitwise', {
    sreg: register,
    dreg: register,
    len: mask.length,
    mask: { value: mask },
    xor: { value: xor },
    op: 0,
  })
const maskOnly = (mask: Uint8Array): Expression => maskAndXor(mask, new Uint8Array(mask.length))

/** The expressions of a rule in a table of `family`. */
export function compileRule(rule: NftRule, family: NftFamily): Expression[] {
  const expressions: Expression[] = []
  let ipFamily: Family | undefined
  for (const match of rule.match) {
    const needed = ipFamilyOf(match)
    // an address can be read only from a packet of a known IP family; one check per rule is enough
    if (needed !== undefined && needed !== ipFamily) expressions.push(...matchIpFamily(needed, family))
    ipFamily = needed ?? ipFamily
    expressions.push(...compileMatch(match))
  }
  return [...expressions, ...compileAction(rule.action)]
}

function matchIpFamily(ip: Family, family: NftFamily): Expression[] {
  // in netdev, where packets have not reached the protocol families, only the Ethernet type is known
  return family === 'netdev'
    ? [loadMeta(META_PROTOCOL), compare(network16(etherTypes[ip]))]
    : [loadMeta(META_NFPROTO), compare(Uint8Array.of(nfProtocols[ip]))]
}

function compileMatch(match: NftMatch): Expression[] {
  switch (match.kind) {
    case 'family':
      return []
    case 'addr':
      return matchPrefix(match.prefix, match.field, match.not)
    case 'addrSet': {
      const at = addressAt[match.family]
      const flags = match.not ? LOOKUP_INV : 0
      return [
        loadPayload(BASE_NETWORK, at[match.field], at.bytes),
        expression('lookup', { set: match.set, sreg: register, flags }),
      ]
    }
    case 'device':
      return [
        loadMeta(match.field === 'iifname' ? META_IIFNAME : META_OIFNAME),
        compare(deviceBytes(match.name), match.not),
      ]
    case 'l4proto':
      return [loadMeta(META_L4PROTO), compare(Uint8Array.of(ipProtocols[match.protocol]), match.not)]
    case 'sport':
    case 'dport':
      return [loadPayload(BASE_TRANSPORT, portAt[match.kind], 2), compare(network16(match.port), match.not)]
    case 'tcpSyn':
      return [
        loadPayload(BASE_TRANSPORT, tcpFlagsAt, 1),
        maskOnly(Uint8Array.of(handshakeFlags)),
        compare(Uint8Array.of(TCP_SYN), match.not),
      ]
    case 'ttlBelow':
      return [
        loadPayload(BASE_NETWORK, ttlAt[match.family], 1),
        expression('cmp', { sreg: register, op: CMP_LT, data: { value: Uint8Array.of(match.ttl) } }),
      ]
    case 'vni':
      return [loadPayload(BASE_TRANSPORT, vniAt, 3), compare(network24(match.vni), match.not)]
    case 'daddrLocal':
      return [
        expression('fib', { dreg: register, result: FIB_ADDRTYPE, flags: FIB_DADDR }),
        compare(native32(RTN_LOCAL), match.not),
      ]
    case 'mark':
      return [loadMeta(META_MARK), maskOnly(native32(match.mask)), compare(native32(match.value), match.not)]
    case 'ctState': {
      const bits = match.states.reduce((all, state) => all | ctStateBits[state], 0)
      return [expression('ct', { dreg: register, key: CT_STATE }), maskOnly(native32(bits)), compare(native32(0), true)]
    }
    case 'ctDnat':
      return [
        expression('ct', { dreg: register, key: CT_STATUS }),
        maskOnly(native32(IPS_DST_NAT)),
        compare(native32(0), true),
      ]
    case 'ctOriginalPort':
      return [
        expression('ct', { dreg: register, key: CT_PROTO_DST, direction: IP_CT_DIR_ORIGINAL }),
        compare(network16(match.port)),
      ]
    default:
      return match satisfies never
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

function compileAction(action: NftAction): Expression[] {
  switch (action.kind) {
    case 'accept':
      return [verdict(NF_ACCEPT)]
    case 'drop':
      return action.counter ? [expression('counter', {}), verdict(NF_DROP)] : [verdict(NF_DROP)]
    case 'return':
      return [verdict(NFT_RETURN)]
    case 'jump':
      return [verdict(NFT_JUMP, action.chain)]
    case 'notrack':
      return [expression('notrack', {}), verdict(NF_ACCEPT)]
    case 'masquerade':
      return [expression('masq', action.fullyRandom ? { flags: NF_NAT_RANGE_PROTO_RANDOM_FULLY } : {})]
    case 'dnat':
      return [
        loadValue(action.addr.toBytes()),
        loadValue(network16(action.port), secondRegister),
        expression('nat', {
          type: NFT_NAT_DNAT,
          family: nfProtocols[action.addr.family],
          regAddrMin: register,
          regAddrMax: register,
          regProtoMin: secondRegister,
          regProtoMax: secondRegister,
          flags: toAddressAndPort,
        }),
      ]
    case 'pktTypeHost':
      return [loadValue(Uint8Array.of(PACKET_HOST)), storeMeta(META_PKTTYPE)]
    case 'setMark':
      return [loadValue(native32(action.value)), storeMeta(META_MARK)]
    case 'orMark':
      return [loadMeta(META_MARK), maskAndXor(native32(~action.value), native32(action.value)), storeMeta(META_MARK)]
    default:
      return action satisfies never
  }
}
