// Decodes path attributes, except those that carry prefixes, and says what each fault costs (RFC 7606 sections 3, 4 and 7). The strongest
// consequence wins; a fault that ends the session is thrown at once.
import { Addr } from '#/lib/addr.ts'
import { AS_TRANS, isConfed, isSet, mergeAs4Path, readAsPath } from './as-path.ts'
import { BgpError, ErrorCode, notificationOf, UpdateSubcode } from './notification.ts'
import { type AsSegment, type Origin, type PathAttributes, type UnknownAttribute, type WireSettings } from './values.ts'

export const AttributeType = {
  origin: 1,
  asPath: 2,
  nextHop: 3,
  med: 4,
  localPreference: 5,
  atomicAggregate: 6,
  aggregator: 7,
  communities: 8,
  originatorId: 9,
  clusterList: 10,
  mpReach: 14,
  mpUnreach: 15,
  extendedCommunities: 16,
  as4Path: 17,
  as4Aggregator: 18,
  largeCommunities: 32,
} as const

export const AttributeFlag = { optional: 0x80, transitive: 0x40, partial: 0x20, extendedLength: 0x10 } as const

export const wellKnown = AttributeFlag.transitive
export const optionalTransitive = AttributeFlag.optional | AttributeFlag.transitive
export const optionalNonTransitive = AttributeFlag.optional

const kindMask = optionalTransitive

/** A fault of an attribute that does not by itself end the session. */
export type Fault = {
  readonly approach: 'attribute discard' | 'treat as withdraw'
  readonly what: string
  /** The subcode for ending the session after all, when the prefixes to withdraw are not known (RFC 7606 section 5.2). */
  readonly subcode: number
  readonly data: Uint8Array
}

/** The attributes of an UPDATE, which apply to all its prefixes. `attributes` is absent when ORIGIN or AS_PATH is. */
export type AttributeBlock = {
  readonly attributes?: PathAttributes
  readonly nextHop?: Addr
  /** The type of a mandatory attribute that is missing, except NEXT_HOP (RFC 4760 section 3 requires it only for some prefixes). */
  readonly missing?: number
  readonly faults: readonly Fault[]
}

type Problem = Pick<Fault, 'approach' | 'what' | 'subcode'>

type Draft = {
  -readonly [Key in keyof PathAttributes]?: PathAttributes[Key]
} & {
  nextHop?: Addr
  as4Path?: readonly AsSegment[]
  as4Aggregator?: { readonly asn: number; readonly addr: Addr }
}

type Rule = {
  readonly name: string
  readonly flags: number
  /** RFC 7606 sections 7.5, 7.9, 7.10: the attribute is ignored when an external neighbour sends it. */
  readonly isInternalOnly?: true
  /** RFC 6793 section 4.1: the attribute is ignored between speakers of four octets. */
  readonly isTwoOctetOnly?: true
  read(value: Buffer, into: Draft, settings: WireSettings): Problem | undefined
}

function withdraw(what: string, subcode: number): Problem {
  return { approach: 'treat as withdraw', what, subcode }
}

function discard(what: string, subcode: number): Problem {
  return { approach: 'attribute discard', what, subcode }
}

function badLength(value: Buffer): Problem {
  return withdraw(`length ${value.length}`, UpdateSubcode.attributeLength)
}

/** Reads values of `size` octets each, at least one; undefined when the length does not fit. */
function listOf<Value>(value: Buffer, size: number, read: (at: number) => Value): Value[] | undefined {
  if (value.length === 0 || value.length % size !== 0) return undefined
  return Array.from({ length: value.length / size }, (_, index) => read(index * size))
}

function readAggregator(value: Buffer, isWide: boolean): { asn: number; addr: Addr } | Problem {
  if (value.length !== (isWide ? 8 : 6)) return discard(`length ${value.length}`, UpdateSubcode.attributeLength)
  const asn = isWide ? value.readUInt32BE(0) : value.readUInt16BE(0)
  // RFC 7607 section 2
  if (asn === 0) return discard('AS 0', UpdateSubcode.optionalAttribute)
  return { asn, addr: Addr.fromBytes(value.subarray(isWide ? 4 : 2)) }
}

/** RFC 9774 section 3: sets are refused, both in AS_PATH and in AS4_PATH. */
function setProblem(path: readonly AsSegment[]): Problem | undefined {
  const set = path.find(isSet)
  if (set === undefined) return undefined
  return withdraw(set.kind === 'set' ? 'AS_SET' : 'AS_CONFED_SET', UpdateSubcode.malformedAsPath)
}

const rules: Readonly<Record<number, Rule | undefined>> = {
  [AttributeType.origin]: {
    name: 'ORIGIN',
    flags: wellKnown,
    read(value, into) {
      if (value.length !== 1) return badLength(value)
      if (value[0]! > 2) return withdraw(`value ${value[0]}`, UpdateSubcode.invalidOrigin)
      into.origin = value[0] as Origin
      return undefined
    },
  },
  [AttributeType.asPath]: {
    name: 'AS_PATH',
    flags: wellKnown,
    read(value, into, settings) {
      const path = readAsPath(value, settings.fourOctetAsn ? 4 : 2)
      if (typeof path === 'string') return withdraw(path, UpdateSubcode.malformedAsPath)
      // RFC 5065 section 5: confederation segments are an error from a neighbour outside our confederation
      if (!settings.isInternal && path.some(isConfed)) {
        return withdraw('a confederation segment from an external neighbour', UpdateSubcode.malformedAsPath)
      }
      into.asPath = path
      return setProblem(path)
    },
  },
  [AttributeType.nextHop]: {
    name: 'NEXT_HOP',
    flags: wellKnown,
    read(value, into) {
      if (value.length !== 4) return badLength(value)
      into.nextHop = Addr.fromBytes(value)
      return undefined
    },
  },
  [AttributeType.med]: {
    name: 'MULTI_EXIT_DISC',
    flags: optionalNonTransitive,
    read(value, into) {
      if (value.length !== 4) return badLength(value)
      into.med = value.readUInt32BE(0)
      return undefined
    },
  },
  [AttributeType.localPreference]: {
    name: 'LOCAL_PREF',
    flags: wellKnown,
    isInternalOnly: true,
    read(value, into) {
      if (value.length !== 4) return badLength(value)
      into.localPreference = value.readUInt32BE(0)
      return undefined
    },
  },
  [AttributeType.atomicAggregate]: {
    name: 'ATOMIC_AGGREGATE',
    flags: wellKnown,
    read(value, into) {
      if (value.length !== 0) return discard(`length ${value.length}`, UpdateSubcode.attributeLength)
      into.isAtomicAggregate = true
      return undefined
    },
  },
  [AttributeType.aggregator]: {
    name: 'AGGREGATOR',
    flags: optionalTransitive,
    read(value, into, settings) {
      const aggregator = readAggregator(value, settings.fourOctetAsn)
      if ('approach' in aggregator) return aggregator
      into.aggregator = aggregator
      return undefined
    },
  },
  [AttributeType.communities]: {
    name: 'COMMUNITIES',
    flags: optionalTransitive,
    read(value, into) {
      const communities = listOf(value, 4, (at) => value.readUInt32BE(at))
      if (communities === undefined) return badLength(value)
      into.communities = [...new Set(communities)].sort((a, b) => a - b)
      return undefined
    },
  },
  [AttributeType.originatorId]: {
    name: 'ORIGINATOR_ID',
    flags: optionalNonTransitive,
    isInternalOnly: true,
    read(value, into) {
      if (value.length !== 4) return badLength(value)
      into.originatorId = Addr.fromBytes(value)
      return undefined
    },
  },
  [AttributeType.clusterList]: {
    name: 'CLUSTER_LIST',
    flags: optionalNonTransitive,
    isInternalOnly: true,
    read(value, into) {
      const clusterList = listOf(value, 4, (at) => Addr.fromBytes(value.subarray(at, at + 4)))
      if (clusterList === undefined) return badLength(value)
      into.clusterList = clusterList
      return undefined
    },
  },
  [AttributeType.extendedCommunities]: {
    name: 'EXTENDED COMMUNITIES',
    flags: optionalTransitive,
    read(value, into) {
      const communities = listOf(value, 8, (at) => value.readBigUInt64BE(at))
      if (communities === undefined) return badLength(value)
      into.extendedCommunities = [...new Set(communities)]
      return undefined
    },
  },
  [AttributeType.as4Path]: {
    name: 'AS4_PATH',
    flags: optionalTransitive,
    isTwoOctetOnly: true,
    read(value, into) {
      // RFC 6793 section 6: a malformed AS4_PATH is discarded, and so is one with AS 0 (RFC 7607 section 2)
      const path = value.length < 6 ? `length ${value.length}` : readAsPath(value, 4)
      if (typeof path === 'string') return discard(path, UpdateSubcode.malformedAsPath)
      into.as4Path = path.filter((segment) => !isConfed(segment))
      return setProblem(path)
    },
  },
  [AttributeType.as4Aggregator]: {
    name: 'AS4_AGGREGATOR',
    flags: optionalTransitive,
    isTwoOctetOnly: true,
    read(value, into) {
      const aggregator = readAggregator(value, true)
      if ('approach' in aggregator) return aggregator
      into.as4Aggregator = aggregator
      return undefined
    },
  },
  [AttributeType.largeCommunities]: {
    name: 'LARGE_COMMUNITY',
    flags: optionalTransitive,
    read(value, into) {
      const communities = listOf(
        value,
        12,
        (at) => [value.readUInt32BE(at), value.readUInt32BE(at + 4), value.readUInt32BE(at + 8)] as const,
      )
      if (communities === undefined) return badLength(value)
      // RFC 8092 section 5: redundant values are removed silently
      into.largeCommunities = [...new Map(communities.map((community) => [community.join(':'), community])).values()]
      return undefined
    },
  },
}

/** The offsets of an attribute's parts. */
export type AttributeSpan = {
  readonly flags: number
  readonly type: number
  readonly valueAt: number
  readonly end: number
}

/** Finds the attribute that starts at `at`; undefined when its header or value exceeds `limit` (RFC 7606 section 4). */
export function attributeAt(bytes: Buffer, at: number, limit: number): AttributeSpan | undefined {
  const flags = bytes[at]!
  const isExtended = (flags & AttributeFlag.extendedLength) !== 0
  const valueAt = at + (isExtended ? 4 : 3)
  if (valueAt > limit) return undefined
  const end = valueAt + (isExtended ? bytes.readUInt16BE(at + 2) : bytes[at + 2]!)
  return end > limit ? undefined : { flags, type: bytes[at + 1]!, valueAt, end }
}

/**
 * Reads a list of attributes without those of RFC 4760. Throws BgpError for an unknown well-known attribute. Keeps no reference to `block`.
 */
export function decodeAttributes(block: Buffer, settings: WireSettings): AttributeBlock {
  const draft: Draft = {}
  const faults: Fault[] = []
  const unknown: UnknownAttribute[] = []
  const seen = new Set<number>()
  for (let at = 0; at < block.length;) {
    const span = attributeAt(block, at, block.length)
    if (span === undefined) {
      const what = `attribute list cut off after ${at} octets (RFC 7606 section 4)`
      faults.push({ ...withdraw(what, UpdateSubcode.malformedAttributes), data: new Uint8Array(0) })
      break
    }
    const whole = block.subarray(at, span.end)
    const value = block.subarray(span.valueAt, span.end)
    const problem = seen.has(span.type)
      ? discard('there already', UpdateSubcode.malformedAttributes)
      : readAttribute(span, whole, value, settings, draft, unknown)
    seen.add(span.type)
    if (problem !== undefined) {
      const name = rules[span.type]?.name ?? `attribute ${span.type}`
      faults.push({ ...problem, what: `${name}: ${problem.what}`, data: Uint8Array.from(whole) })
    }
    at = span.end
  }
  return finish(draft, unknown, seen, faults)
}

function readAttribute(
  { flags, type }: AttributeSpan,
  whole: Buffer,
  value: Buffer,
  settings: WireSettings,
  draft: Draft,
  unknown: UnknownAttribute[],
): Problem | undefined {
  const rule = rules[type]
  if (rule === undefined) {
    if ((flags & AttributeFlag.optional) === 0) {
      const data = Uint8Array.from(whole)
      throw new BgpError(
        notificationOf(ErrorCode.update, UpdateSubcode.unrecognizedWellKnown, data),
        `well-known attribute ${type}`,
      )
    }
    if ((flags & AttributeFlag.transitive) !== 0) {
      unknown.push({ type, flags: optionalTransitive | AttributeFlag.partial, value: Uint8Array.from(value) })
    }
    return undefined
  }
  if (rule.isInternalOnly && !settings.isInternal) {
    return discard('from an external neighbour', UpdateSubcode.optionalAttribute)
  }
  if (rule.isTwoOctetOnly && settings.fourOctetAsn) {
    return discard('from a speaker of four-octet AS numbers', UpdateSubcode.optionalAttribute)
  }
  // RFC 7606 section 3 (c); the Partial bit is not checked
  if ((flags & kindMask) !== rule.flags) {
    return withdraw(`flags 0x${flags.toString(16)}`, UpdateSubcode.attributeFlags)
  }
  return rule.read(value, draft, settings)
}

function finish(
  draft: Draft,
  unknown: readonly UnknownAttribute[],
  seen: ReadonlySet<number>,
  faults: readonly Fault[],
): AttributeBlock {
  const { nextHop, as4Path, as4Aggregator, origin, asPath, ...others } = draft
  const missing = [AttributeType.origin, AttributeType.asPath].find((type) => !seen.has(type))
  const common = {
    ...(nextHop === undefined ? {} : { nextHop }),
    ...(missing === undefined ? {} : { missing }),
    faults,
  }
  if (origin === undefined || asPath === undefined) return common
  const { aggregator } = others
  // RFC 6793 section 4.2.3: an AGGREGATOR other than AS_TRANS is newer than AS4_PATH and AS4_AGGREGATOR, so both are ignored
  const areVoid = aggregator !== undefined && as4Aggregator !== undefined && aggregator.asn !== AS_TRANS
  const attributes: PathAttributes = {
    origin,
    asPath: as4Path === undefined || areVoid ? asPath : mergeAs4Path(asPath, as4Path),
    ...others,
    ...(aggregator !== undefined && as4Aggregator !== undefined && !areVoid ? { aggregator: as4Aggregator } : {}),
    ...(unknown.length === 0 ? {} : { unknown }),
  }
  return { ...common, attributes }
}
