// BGP messages written and read by hand, byte by byte. On purpose without src/wire/bgp: it is the other side that tests check ours
// against, and it can say what no encoder would. RFC 4271 section 4, RFC 4760, RFC 5492.
import { Addr, type Family, Prefix } from '#/lib/addr.ts'

export const openType = 1
export const updateType = 2
export const notificationType = 3
export const keepaliveType = 4
export const refreshType = 5

const headerBytes = 19

export function u8(value: number): Buffer {
  return Buffer.from([value])
}
export function u16(value: number): Buffer {
  return Buffer.from([value >>> 8, value & 0xff])
}
export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export function message(type: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.alloc(16, 0xff), u16(headerBytes + body.length), u8(type), body])
}

export const keepalive = message(keepaliveType)

export function notification(code: number, subcode: number, data: Uint8Array = Buffer.alloc(0)): Buffer {
  return message(notificationType, u8(code), u8(subcode), data)
}

export function refresh(family: Family, kind = 0): Buffer {
  return message(refreshType, u16(afiOf(family)), u8(kind), u8(1))
}

function afiOf(family: Family): number {
  return family === 4 ? 1 : 2
}

export function capability(code: number, value: Uint8Array = Buffer.alloc(0)): Buffer {
  return Buffer.concat([u8(code), u8(value.length), value])
}

export const capabilities = {
  multiprotocol: (family: Family) => capability(1, Buffer.concat([u16(afiOf(family)), Buffer.from([0, 1])])),
  routeRefresh: capability(2),
  /** RFC 8950: IPv4 unicast with IPv6 next hops. */
  extendedNextHop: capability(5, Buffer.from([0, 1, 0, 1, 0, 2])),
  /** RFC 4724; `isRestarting` is the R bit, `kept` the F bits. */
  gracefulRestart: (options: {
    restartTimeSeconds: number
    isRestarting?: boolean
    families: readonly Family[]
    kept?: boolean
  }) => {
    const { restartTimeSeconds, isRestarting = false, families, kept = false } = options
    const perFamily = families.map((family) => Buffer.concat([u16(afiOf(family)), Buffer.from([1, kept ? 0x80 : 0])]))
    return capability(64, Buffer.concat([u16((isRestarting ? 0x8000 : 0) | restartTimeSeconds), ...perFamily]))
  },
  fourOctetAsn: (asn: number) => capability(65, u32(asn)),
} as const

export type RawOpen = {
  readonly asn: number
  readonly routerId: string
  readonly holdTimeSeconds?: number
  readonly families?: readonly Family[]
  /** A speaker of before RFC 6793. */
  readonly isOld?: boolean
  /** Beside those of families and AS number. */
  readonly more?: readonly Uint8Array[]
}

const asTrans = 23_456

export function open(options: RawOpen): Buffer {
  const {
    asn,
    routerId,
    holdTimeSeconds = 90,
    families = [4],
    isOld = false,
    more = [capabilities.routeRefresh],
  } = options
  const offered = [
    ...families.map((family) => capabilities.multiprotocol(family)),
    ...(isOld ? [] : [capabilities.fourOctetAsn(asn)]),
    ...more,
  ]
  const parameters = offered.map((each) => Buffer.concat([u8(2), u8(each.length), each]))
  const optional = Buffer.concat(parameters)
  const fixed = [u8(4), u16(asn > 0xffff ? asTrans : asn), u16(holdTimeSeconds), Addr.parse(routerId).toBytes()]
  return message(openType, ...fixed, u8(optional.length), optional)
}

/** A prefix as an UPDATE has it. */
export function nlri(text: string): Buffer {
  // tests send a million of these
  if (!text.includes(':')) {
    const octets = text.split(/[./]/).map(Number)
    return Buffer.from([octets[4]!, ...octets.slice(0, Math.ceil(octets[4]! / 8))])
  }
  const { addr, length } = Prefix.parse(text)
  return Buffer.concat([u8(length), addr.toBytes().subarray(0, Math.ceil(length / 8))])
}

export function attribute(flags: number, type: number, value: Uint8Array): Buffer {
  const isLong = value.length > 255
  const length = isLong ? u16(value.length) : u8(value.length)
  return Buffer.concat([u8(isLong ? flags | 0x10 : flags), u8(type), length, value])
}

const transitive = 0x40
const optional = 0x80

export const attributes = {
  origin: (code: number) => attribute(transitive, 1, u8(code)),
  /** One AS_SEQUENCE; `octets`: of each AS number. */
  asPath: (asns: readonly number[], octets: 2 | 4 = 4) => {
    const numbers = asns.map((asn) => (octets === 4 ? u32(asn) : u16(asn)))
    return attribute(
      transitive,
      2,
      asns.length === 0 ? Buffer.alloc(0) : Buffer.concat([u8(2), u8(asns.length), ...numbers]),
    )
  },
  nextHop: (addr: string) => attribute(transitive, 3, Addr.parse(addr).toBytes()),
  med: (value: number) => attribute(optional, 4, u32(value)),
  localPreference: (value: number) => attribute(transitive, 5, u32(value)),
  communities: (texts: readonly string[]) =>
    attribute(
      optional | transitive,
      8,
      Buffer.concat(texts.flatMap((text) => text.split(':').map((part) => u16(Number(part))))),
    ),
  originatorId: (addr: string) => attribute(optional, 9, Addr.parse(addr).toBytes()),
  clusterList: (addrs: readonly string[]) =>
    attribute(optional, 10, Buffer.concat(addrs.map((addr) => Addr.parse(addr).toBytes()))),
  largeCommunities: (texts: readonly string[]) =>
    attribute(
      optional | transitive,
      32,
      Buffer.concat(texts.flatMap((text) => text.split(':').map((part) => u32(Number(part))))),
    ),
  as4Path: (asns: readonly number[]) =>
    attribute(optional | transitive, 17, Buffer.concat([u8(2), u8(asns.length), ...asns.map((asn) => u32(asn))])),
  /** `nextHops`: one address, or a global and a link-local one. */
  reach: (family: Family, nextHops: readonly string[], prefixes: readonly string[]) => {
    const addrs = Buffer.concat(nextHops.map((addr) => Addr.parse(addr).toBytes()))
    const head = [u16(afiOf(family)), u8(1), u8(addrs.length), addrs, u8(0)]
    return attribute(optional, 14, Buffer.concat([...head, ...prefixes.map(nlri)]))
  },
  unreach: (family: Family, prefixes: readonly string[]) =>
    attribute(optional, 15, Buffer.concat([u16(afiOf(family)), u8(1), ...prefixes.map(nlri)])),
} as const

/** `announced` and `withdrawn` are IPv4 prefixes; those of MP_REACH_NLRI are among the attributes. */
export function update(parts: {
  readonly withdrawn?: readonly string[]
  readonly attributes?: readonly Uint8Array[]
  readonly announced?: readonly string[]
}): Buffer {
  const withdrawn = Buffer.concat((parts.withdrawn ?? []).map(nlri))
  const all = Buffer.concat(parts.attributes ?? [])
  const announced = (parts.announced ?? []).map(nlri)
  return message(updateType, u16(withdrawn.length), withdrawn, u16(all.length), all, ...announced)
}

/** IPv4 prefixes of one origin AS, in as many messages as they need. */
export function announcements(prefixes: readonly string[], path: readonly Uint8Array[]): Buffer[] {
  const perMessage = 800
  return Array.from({ length: Math.ceil(prefixes.length / perMessage) }, (_, index) =>
    update({ attributes: path, announced: prefixes.slice(index * perMessage, (index + 1) * perMessage) }),
  )
}

export function endOfRib(family: Family): Buffer {
  return family === 4 ? update({}) : update({ attributes: [attributes.unreach(6, [])] })
}

export type RawMessage = { readonly type: number; readonly body: Buffer }

/** Cuts a stream of bytes into messages. Throws for a header that is none. */
export class MessageSplitter {
  #rest: Buffer = Buffer.alloc(0)

  push(chunk: Uint8Array): RawMessage[] {
    const bytes = Buffer.concat([this.#rest, chunk])
    const found: RawMessage[] = []
    let at = 0
    while (bytes.length - at >= headerBytes) {
      const length = bytes.readUInt16BE(at + 16)
      if (length < headerBytes || !bytes.subarray(at, at + 16).every((byte) => byte === 0xff))
        throw new Error(`no BGP header at ${bytes.subarray(at, at + headerBytes).toString('hex')}`)
      if (bytes.length - at < length) break
      found.push({ type: bytes[at + 18]!, body: bytes.subarray(at + headerBytes, at + length) })
      at += length
    }
    this.#rest = bytes.subarray(at)
    return found
  }
}

export type RawPath = {
  readonly nextHop: string
  readonly linkLocal?: string
  readonly origin: number
  /** "65001 65002 {65003,65004}" */
  readonly asPath: string
  readonly as4Path?: string
  readonly med?: number
  readonly localPreference?: number
  readonly communities: readonly string[]
  readonly originatorId?: string
  readonly clusterList?: readonly string[]
  /** Type codes of all attributes, sorted. */
  readonly types: readonly number[]
}

export type RawUpdate = {
  readonly withdrawn: readonly string[]
  readonly announced: readonly string[]
  readonly path?: RawPath
  readonly endOfRib?: Family
}

function prefixesIn(bytes: Buffer, family: Family): string[] {
  const found: string[] = []
  for (let at = 0; at < bytes.length;) {
    const length = bytes[at]!
    const octets = Math.ceil(length / 8)
    const octet = (index: number): number => (index < octets ? bytes[at + 1 + index]! : 0)
    if (family === 4) found.push(`${octet(0)}.${octet(1)}.${octet(2)}.${octet(3)}/${length}`)
    else found.push(`${Addr.fromBytes(Uint8Array.from({ length: 16 }, (_, index) => octet(index)))}/${length}`)
    at += 1 + octets
  }
  return found
}

function numbersIn(bytes: Buffer, octets: 2 | 4): number[] {
  return Array.from({ length: bytes.length / octets }, (_, index) => bytes.readUIntBE(index * octets, octets))
}

function asPathIn(bytes: Buffer, octets: 2 | 4): string {
  const segments: string[] = []
  for (let at = 0; at < bytes.length;) {
    const end = at + 2 + bytes[at + 1]! * octets
    const asns = numbersIn(bytes.subarray(at + 2, end), octets)
    segments.push(bytes[at] === 1 ? `{${asns.join(',')}}` : asns.join(' '))
    at = end
  }
  return segments.join(' ')
}

function groupsIn(bytes: Buffer, octets: 2 | 4, count: number): string[] {
  const numbers = numbersIn(bytes, octets)
  return Array.from({ length: numbers.length / count }, (_, index) =>
    numbers.slice(index * count, (index + 1) * count).join(':'),
  )
}

function attributesIn(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>()
  for (let at = 0; at < bytes.length;) {
    const isLong = (bytes[at]! & 0x10) !== 0
    const start = at + (isLong ? 4 : 3)
    const length = isLong ? bytes.readUInt16BE(at + 2) : bytes[at + 2]!
    found.set(bytes[at + 1]!, bytes.subarray(start, start + length))
    at = start + length
  }
  return found
}

function addrsIn(bytes: Buffer): string[] {
  const octets = bytes.length % 16 === 0 ? 16 : 4
  return Array.from({ length: bytes.length / octets }, (_, index) =>
    String(Addr.fromBytes(bytes.subarray(index * octets, (index + 1) * octets))),
  )
}

/** Reads an UPDATE of a speaker that is trusted to write good ones. `octets`: of AS numbers in its AS_PATH. */
export function readUpdate(body: Buffer, octets: 2 | 4 = 4): RawUpdate {
  const withdrawnEnd = 2 + body.readUInt16BE(0)
  const attributesEnd = withdrawnEnd + 2 + body.readUInt16BE(withdrawnEnd)
  const found = attributesIn(body.subarray(withdrawnEnd + 2, attributesEnd))
  const withdrawn = prefixesIn(body.subarray(2, withdrawnEnd), 4)
  const announced = prefixesIn(body.subarray(attributesEnd), 4)
  if (body.length === 4) return { withdrawn, announced, endOfRib: 4 }
  const unreach = found.get(15)
  if (unreach !== undefined) {
    const family = unreach.readUInt16BE(0) === 1 ? 4 : 6
    if (found.size === 1 && unreach.length === 3) return { withdrawn, announced, endOfRib: family }
    withdrawn.push(...prefixesIn(unreach.subarray(3), family))
  }
  const reach = found.get(14)
  let nextHops = found.has(3) ? addrsIn(found.get(3)!) : []
  if (reach !== undefined) {
    const family = reach.readUInt16BE(0) === 1 ? 4 : 6
    const nextHopEnd = 4 + reach[3]!
    nextHops = addrsIn(reach.subarray(4, nextHopEnd))
    announced.push(...prefixesIn(reach.subarray(nextHopEnd + 1), family))
  }
  if (announced.length === 0) return { withdrawn, announced }
  const number = (type: number): number | undefined => found.get(type)?.readUInt32BE(0)
  const [med, localPreference] = [number(4), number(5)]
  const path: RawPath = {
    nextHop: nextHops[0] ?? '',
    ...(nextHops[1] !== undefined && { linkLocal: nextHops[1] }),
    origin: found.get(1)?.[0] ?? -1,
    asPath: asPathIn(found.get(2) ?? Buffer.alloc(0), octets),
    ...(found.has(17) && { as4Path: asPathIn(found.get(17)!, 4) }),
    ...(med !== undefined && { med }),
    ...(localPreference !== undefined && { localPreference }),
    communities: [
      ...groupsIn(found.get(8) ?? Buffer.alloc(0), 2, 2),
      ...groupsIn(found.get(32) ?? Buffer.alloc(0), 4, 3),
    ].sort(),
    ...(found.has(9) && { originatorId: addrsIn(found.get(9)!)[0]! }),
    ...(found.has(10) && { clusterList: addrsIn(found.get(10)!) }),
    types: [...found.keys()].sort((a, b) => a - b),
  }
  return { withdrawn, announced, path }
}
