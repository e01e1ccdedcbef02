// Arbitrary values that messages can carry, for property tests of the codecs and their users.
import fc from 'fast-check'
import { Addr, type Family, Prefix } from '#/lib/addr.ts'
import { nlriOf } from '../nlri.ts'
import {
  type AsSegment,
  type Capabilities,
  type Nlri,
  type Open,
  type Origin,
  type PathAttributes,
  type PathNextHop,
  type UnknownAttribute,
  type WireSettings,
} from '../values.ts'

/** Makes objects with the prototype of literals, so that they can be compared. */
const plain = { noNullPrototype: true } as const

const last = { 4: 2n ** 32n - 1n, 6: 2n ** 128n - 1n } as const

export const anyFamily: fc.Arbitrary<Family> = fc.constantFrom(4, 6)
const anyU32 = fc.integer({ min: 0, max: 0xffffffff })
const anyAsn = fc.oneof(fc.integer({ min: 1, max: 0xffff }), fc.integer({ min: 1, max: 0xffffffff }))

export function anyAddr(family: Family): fc.Arbitrary<Addr> {
  return fc.bigInt({ min: 1n, max: last[family] }).map((value) => new Addr(family, value))
}

export function anyNlri(family: Family): fc.Arbitrary<Nlri> {
  return fc
    .tuple(anyAddr(family), fc.integer({ min: 0, max: family === 4 ? 32 : 128 }))
    .map(([addr, length]) => new Prefix(addr, length))
    .filter(({ addr }) => !addr.isMulticast)
    .map(nlriOf)
}

export const anySettings: fc.Arbitrary<WireSettings> = fc.record(
  {
    fourOctetAsn: fc.boolean(),
    families: fc.constant([4, 6] as const),
    extendedNextHop: fc.boolean(),
    isInternal: fc.boolean(),
  },
  plain,
)

/** Only sequences, which come back as they were sent: neighbours refuse sets (RFC 9774). */
const anySegment: fc.Arbitrary<AsSegment> = fc.record(
  {
    kind: fc.constant('sequence' as const),
    asns: fc.array(anyAsn, { minLength: 1, maxLength: 40 }),
  },
  plain,
)

const anyUnknown: fc.Arbitrary<UnknownAttribute> = fc.record(
  {
    flags: fc.constant(0xe0),
    type: fc.integer({ min: 40, max: 255 }),
    value: fc.uint8Array({ maxLength: 300 }),
  },
  plain,
)

const anyTransitive = {
  med: anyU32,
  isAtomicAggregate: fc.constant(true),
  aggregator: fc.record({ asn: anyAsn, addr: anyAddr(4) }, plain),
  communities: fc.uniqueArray(anyU32, { minLength: 1, maxLength: 80 }).map((values) => values.sort((a, b) => a - b)),
  extendedCommunities: fc.uniqueArray(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { minLength: 1, maxLength: 20 }),
  largeCommunities: fc.uniqueArray(fc.tuple(anyU32, anyU32, anyU32), {
    minLength: 1,
    maxLength: 20,
    selector: (parts) => parts.join(':'),
  }),
  unknown: fc
    .uniqueArray(anyUnknown, { minLength: 1, maxLength: 3, selector: ({ type }) => type })
    .map((attributes) => attributes.sort((a, b) => a.type - b.type)),
}

const anyInternal = {
  localPreference: anyU32,
  originatorId: anyAddr(4),
  clusterList: fc.array(anyAddr(4), { minLength: 1, maxLength: 20 }),
}

/** Any attributes; for an external neighbour without those that are not sent to it. */
export function anyAttributes(isInternal: boolean): fc.Arbitrary<PathAttributes> {
  const mandatory = {
    origin: fc.constantFrom<Origin[]>(0, 1, 2),
    asPath: fc.array(anySegment, { maxLength: 4 }),
  }
  return fc.record(
    { ...mandatory, ...anyTransitive, ...(isInternal ? anyInternal : {}) },
    { requiredKeys: ['origin', 'asPath'], noNullPrototype: true },
  ) as fc.Arbitrary<PathAttributes>
}

const anyHost6 = anyAddr(6).filter((addr) => !addr.isMulticast)
const anyLinkLocal = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((id) => new Addr(6, (0xfe80n << 112n) | id))

const anyNextHop4: fc.Arbitrary<PathNextHop> = anyAddr(4)
  .filter((addr) => addr.value < 0xe0000000n)
  .map((addr) => ({ addr }))

const anyNextHop6: fc.Arbitrary<PathNextHop> = fc.oneof(
  anyHost6.map((addr) => ({ addr })),
  anyLinkLocal.map((addr) => ({ addr })),
  fc.tuple(anyHost6, anyLinkLocal).map(([addr, linkLocal]) => (addr.isLinkLocal ? { addr } : { addr, linkLocal })),
)

/** Any next hop that routes of the family can have. */
export function anyNextHop(family: Family, { extendedNextHop }: WireSettings): fc.Arbitrary<PathNextHop> {
  if (family === 6) return anyNextHop6
  return extendedNextHop ? fc.oneof(anyNextHop4, anyNextHop6) : anyNextHop4
}

const anyFamilies = fc.subarray<Family>([4, 6])

function forFamilies<Value>(value: (family: Family) => fc.Arbitrary<Value>): fc.Arbitrary<Value[]> {
  return anyFamilies.chain((families) => fc.tuple(...families.map(value)))
}

const anyRestartFamily = (family: Family): fc.Arbitrary<{ family: Family; keptForwarding: boolean }> =>
  fc.boolean().map((keptForwarding) => ({ family, keptForwarding }))

const anyGracefulRestart = fc.record(
  {
    isRestarting: fc.boolean(),
    onNotification: fc.boolean(),
    restartTimeSeconds: fc.integer({ min: 0, max: 4095 }),
    families: forFamilies(anyRestartFamily),
  },
  plain,
)

const anyLongLived = forFamilies((family) =>
  fc.record(
    {
      family: fc.constant(family),
      keptForwarding: fc.boolean(),
      staleTimeSeconds: fc.integer({ min: 0, max: 0xffffff }),
    },
    plain,
  ),
)

const anyCapabilities: fc.Arbitrary<Capabilities> = fc
  .record(
    {
      families: fc.subarray<Family>([4, 6], { minLength: 1 }),
      routeRefresh: fc.boolean(),
      enhancedRouteRefresh: fc.boolean(),
      extendedNextHop: fc.subarray<Family>([4]),
      unknown: fc.constant([]),
      asn: anyAsn,
      gracefulRestart: anyGracefulRestart,
      longLivedRestart: anyLongLived,
    },
    {
      requiredKeys: ['families', 'routeRefresh', 'enhancedRouteRefresh', 'extendedNextHop', 'unknown'],
      noNullPrototype: true,
    },
  )
  // RFC 9494: long-lived restart only with graceful restart
  .map(({ longLivedRestart, ...others }) =>
    longLivedRestart === undefined || others.gracefulRestart === undefined ? others : { ...others, longLivedRestart },
  )

export const anyOpen: fc.Arbitrary<Open> = fc
  .record(
    {
      asn: fc.integer({ min: 1, max: 0xffff }),
      holdTimeSeconds: fc.oneof(fc.constant(0), fc.integer({ min: 3, max: 0xffff })),
      routerId: anyAddr(4),
      capabilities: anyCapabilities,
    },
    plain,
  )
  .map((open) => ({ ...open, asn: open.capabilities.asn ?? open.asn }))
