// The ranges and defaults of the fields of BGP objects, shared by the schemas of the definitions and by the readers.
import { type NumberRange } from './spec-reader.ts'

/** AS numbers (RFC 6793), without 0 (RFC 7607) and the last one (RFC 7300), which no AS may have. */
export const asnRange: NumberRange = { min: 1, max: 4_294_967_294 }
/** AS numbers inside the range that no AS may have: AS_TRANS (RFC 6793) and the last of two octets (RFC 7300). */
export const reservedAsns: readonly number[] = [23_456, 65_535]

export const bgpRanges = {
  port: { min: 1, max: 65_535 },
  /** 0: the node does not listen. */
  listenPort: { min: 0, max: 65_535 },
  /** 1 and 2 are not valid hold times (RFC 4271 section 4.2); the reader checks that separately. */
  holdTimeSeconds: { min: 0, max: 65_535 },
  keepaliveSeconds: { min: 1, max: 21_845 },
  connectRetrySeconds: { min: 1, max: 65_535 },
  /** The field has twelve bits (RFC 4724 section 3). */
  restartTimeSeconds: { min: 1, max: 4_095 },
  stalePathTimeSeconds: { min: 1, max: 86_400 },
  /** The field has 24 bits (RFC 9494 section 3). */
  longLivedStaleTimeSeconds: { min: 1, max: 16_777_215 },
  bfdIntervalMs: { min: 50, max: 60_000 },
  bfdDetectMultiplier: { min: 2, max: 255 },
  maxPaths: { min: 1, max: 64 },
  reflectorCount: { min: 1, max: 16 },
  reflectorsAbove: { min: 1, max: 1_000 },
  ttlSecurityHops: { min: 1, max: 254 },
  multihopTtl: { min: 2, max: 255 },
  maxPrefixesCount: { min: 1, max: 10_000_000 },
  warningPercent: { min: 1, max: 100 },
  maxPrefixesRestartSeconds: { min: 1, max: 86_400 },
  allowOwnAsn: { min: 0, max: 10 },
  prefixLength: { min: 0, max: 128 },
  uint32: { min: 0, max: 4_294_967_295 },
  prependTimes: { min: 1, max: 32 },
} as const satisfies Record<string, NumberRange>

export const bgpDefaults = {
  asn: 64_512,
  port: 179,
  holdTimeSeconds: 90,
  connectRetrySeconds: 5,
  restartTimeSeconds: 120,
  stalePathTimeSeconds: 360,
  bfdIntervalMs: 300,
  bfdDetectMultiplier: 3,
  maxPaths: 8,
  reflectorCount: 3,
  reflectorsAbove: 100,
  topologyKey: 'topology.kubernetes.io/zone',
  passwordKey: 'password',
  maxPrefixes: { count: 100_000, warningPercent: 75, restartSeconds: 300 },
  /** A node announces a handful of prefixes, a reflector those of the whole cluster. Only a fault brings either near its limit. */
  meshMaxPrefixes: { nodeCount: 10_000, reflectorCount: 1_000_000, warningPercent: 75, restartSeconds: 60 },
} as const

export const nodeMeshes = ['Full', 'None', 'Auto'] as const
export const sessionModes = ['both', 'passive', 'active'] as const
export const familyNames = ['IPv4', 'IPv6'] as const
export const policyActions = ['Accept', 'Reject'] as const
/** Names that stand for prefixes in a policy's rule; the prefixes depend on node and cluster. */
export const cidrSets = ['OwnPodCIDRs', 'ClusterCIDRs'] as const
export type CidrSet = (typeof cidrSets)[number]

/** The names of well-known communities of RFC 1997, 3765, 7999 and 8326. */
export const communityNames = [
  'no-export',
  'no-advertise',
  'no-export-subconfed',
  'no-peer',
  'blackhole',
  'graceful-shutdown',
] as const

/** Characters of device names (dev_valid_name of net/core/dev.c), without those beyond ASCII: the kernel takes some bytes of these for blanks. */
export const devicePattern = '^[!-.0-9;-~]{1,15}$'

/** What is wrong with a text as the name of a device; undefined when it is one. */
export function deviceFault(name: string): string | undefined {
  const isName = new RegExp(devicePattern).test(name) && name !== '.' && name !== '..'
  return isName ? undefined : 'is no name of a device'
}

/** What is wrong with a text as a community; undefined when it is one (RFC 1997), a large one (RFC 8092) or the name of one. */
export function communityFault(text: string): string | undefined {
  if (communityNames.some((name) => name === text)) return undefined
  const parts = text.split(':')
  const max = parts.length === 2 ? 0xffff : parts.length === 3 ? 0xffff_ffff : -1
  const areNumbers = parts.every((part) => /^(0|[1-9]\d{0,9})$/.test(part) && Number(part) <= max)
  return areNumbers ? undefined : `expected 65000:1, 65000:1:2 or one of ${communityNames.join(', ')}`
}
