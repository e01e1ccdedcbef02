// Small questions to path attributes, and small changes of them.
import { type AsSegment, type PathAttributes } from '#/wire/bgp/values.ts'

export function hasCommunity(attributes: PathAttributes, community: number): boolean {
  return attributes.communities !== undefined && attributes.communities.includes(community)
}

export function withCommunity(attributes: PathAttributes, community: number): PathAttributes {
  if (hasCommunity(attributes, community)) return attributes
  return { ...attributes, communities: [...(attributes.communities ?? []), community].sort((a, b) => a - b) }
}

/** The AS that the path was received from, as its first segment says; undefined when it is empty or begins with a set. */
export function firstAsnOf(path: readonly AsSegment[]): number | undefined {
  const first = path[0]
  return first?.kind === 'sequence' ? first.asns[0] : undefined
}

/** The AS that originated the route; undefined when the path is empty or ends in a set. */
export function originAsnOf(path: readonly AsSegment[]): number | undefined {
  const last = path.at(-1)
  return last?.kind === 'sequence' ? last.asns.at(-1) : undefined
}

export function countAsn(path: readonly AsSegment[], asn: number): number {
  let count = 0
  for (const { asns } of path) for (const one of asns) if (one === asn) count++
  return count
}

/** RFC 4271 section 5.1.2: into the first segment when that is a sequence with room, else as a segment of its own. */
export function prepend(path: readonly AsSegment[], asn: number, times: number): readonly AsSegment[] {
  const added = Array.from({ length: times }, () => asn)
  const [first, ...rest] = path
  if (first?.kind === 'sequence' && first.asns.length + times <= 255) {
    return [{ kind: 'sequence', asns: [...added, ...first.asns] }, ...rest]
  }
  return [{ kind: 'sequence', asns: added }, ...path]
}

/** Equal for equal attributes. */
export function attributesKey(attributes: PathAttributes): string {
  let key = `${attributes.origin} ${attributes.localPreference ?? ''} ${attributes.med ?? ''}`
  for (const { kind, asns } of attributes.asPath) key += ` ${kind} ${asns.join(' ')}`
  if (attributes.isAtomicAggregate === true) key += ' atomic'
  if (attributes.aggregator !== undefined) key += ` agg ${attributes.aggregator.asn} ${attributes.aggregator.addr}`
  if (attributes.communities !== undefined) key += ` com ${attributes.communities.join(' ')}`
  if (attributes.extendedCommunities !== undefined) key += ` ext ${attributes.extendedCommunities.join(' ')}`
  if (attributes.largeCommunities !== undefined) key += ` large ${attributes.largeCommunities.join(' ')}`
  if (attributes.originatorId !== undefined) key += ` originator ${attributes.originatorId}`
  if (attributes.clusterList !== undefined) key += ` clusters ${attributes.clusterList.join(' ')}`
  for (const { flags, type, value } of attributes.unknown ?? []) key += ` unknown ${flags} ${type} ${value.join(',')}`
  return key
}

export function sameAttributes(one: PathAttributes, other: PathAttributes): boolean {
  return one === other || attributesKey(one) === attributesKey(other)
}
