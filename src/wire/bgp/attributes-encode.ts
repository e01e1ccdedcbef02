// Encodes path attributes, in ascending order of their types (RFC 4271 section 5).
import { type Addr } from '#/lib/addr.ts'
import { as4PathOf, isConfed, twoOctets, writeAsPath } from './as-path.ts'
import { AttributeFlag, AttributeType, optionalNonTransitive, optionalTransitive, wellKnown } from './attributes.ts'
import { type AsSegment, type PathAttributes, type WireSettings } from './values.ts'

/** Encodes one attribute; its length takes two octets only when it must. */
export function encodeAttribute(flags: number, type: number, value: Uint8Array): Buffer {
  const isLong = value.length > 255
  const header = isLong
    ? [flags | AttributeFlag.extendedLength, type, value.length >> 8, value.length & 0xff]
    : [flags, type, value.length]
  return Buffer.concat([Uint8Array.from(header), value])
}

/**
 * Encodes all attributes but those of RFC 4760. `nextHop` is for IPv4 routes whose prefixes are in the body. An attribute too long for its
 * length field is not detected here: it is so much longer than a message that the caller rejects it.
 */
export function encodeAttributes(
  attributes: PathAttributes,
  nextHop: Addr | undefined,
  settings: WireSettings,
): Uint8Array {
  const found: [type: number, encoded: Buffer][] = []
  const put = (flags: number, type: number, value: Uint8Array): void => {
    found.push([type, encodeAttribute(flags, type, value)])
  }
  put(wellKnown, AttributeType.origin, Uint8Array.of(attributes.origin))
  // RFC 5065 section 4.1: confederation segments are not sent outside.
  const asPath = settings.isInternal ? attributes.asPath : attributes.asPath.filter((segment) => !isConfed(segment))
  put(wellKnown, AttributeType.asPath, writeAsPath(asPath, settings.fourOctetAsn ? 4 : 2))
  if (nextHop !== undefined) put(wellKnown, AttributeType.nextHop, nextHop.toBytes())
  if (attributes.med !== undefined) put(optionalNonTransitive, AttributeType.med, numbers([attributes.med]))
  if (attributes.isAtomicAggregate) put(wellKnown, AttributeType.atomicAggregate, new Uint8Array(0))
  if (attributes.communities !== undefined) {
    put(optionalTransitive, AttributeType.communities, numbers(attributes.communities))
  }
  if (attributes.extendedCommunities !== undefined) {
    put(optionalTransitive, AttributeType.extendedCommunities, longNumbers(attributes.extendedCommunities))
  }
  if (attributes.largeCommunities !== undefined) {
    put(optionalTransitive, AttributeType.largeCommunities, numbers(attributes.largeCommunities.flat()))
  }
  putAggregator(attributes, settings, put)
  if (!settings.fourOctetAsn) putAs4Path(asPath, put)
  if (settings.isInternal) putInternal(attributes, put)
  for (const { flags, type, value } of attributes.unknown ?? []) put(flags, type, value)
  return Buffer.concat(found.sort(([a], [b]) => a - b).map(([, encoded]) => encoded))
}

type Put = (flags: number, type: number, value: Uint8Array) => void

function putAggregator({ aggregator }: PathAttributes, settings: WireSettings, put: Put): void {
  if (aggregator === undefined) return
  const { asn, addr } = aggregator
  const wide = Buffer.concat([numbers([asn]), addr.toBytes()])
  if (settings.fourOctetAsn) return put(optionalTransitive, AttributeType.aggregator, wide)
  const narrow = Buffer.alloc(6)
  narrow.writeUInt16BE(twoOctets(asn))
  narrow.set(addr.toBytes(), 2)
  put(optionalTransitive, AttributeType.aggregator, narrow)
  if (asn > 0xffff) put(optionalTransitive, AttributeType.as4Aggregator, wide)
}

function putAs4Path(asPath: readonly AsSegment[], put: Put): void {
  const as4Path = as4PathOf(asPath)
  if (as4Path !== undefined) put(optionalTransitive, AttributeType.as4Path, writeAsPath(as4Path, 4))
}

function putInternal(attributes: PathAttributes, put: Put): void {
  const { localPreference, originatorId, clusterList } = attributes
  if (localPreference !== undefined) put(wellKnown, AttributeType.localPreference, numbers([localPreference]))
  if (originatorId !== undefined) put(optionalNonTransitive, AttributeType.originatorId, originatorId.toBytes())
  if (clusterList !== undefined) {
    put(optionalNonTransitive, AttributeType.clusterList, Buffer.concat(clusterList.map((id) => id.toBytes())))
  }
}

function numbers(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  values.forEach((value, index) => bytes.writeUInt32BE(value, 4 * index))
  return bytes
}

function longNumbers(values: readonly bigint[]): Buffer {
  const bytes = Buffer.alloc(8 * values.length)
  values.forEach((value, index) => bytes.writeBigUInt64BE(value, 8 * index))
  return bytes
}
