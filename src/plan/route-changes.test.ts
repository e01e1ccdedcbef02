import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type DesiredRoute } from '#/model/network.ts'
import { sameDesired } from './route-changes.ts'

const dst = Prefix.parse('10.244.2.0/24')
const addr = fc.constantFrom('172.30.1.1', '172.30.1.2', 'fd30::2').map(Addr.parse)
const device = fc.constantFrom('eth0', 'eth1')
const metric = fc.constantFrom(1, 2)
const node = fc.constantFrom('a', 'b')

const anyRoute: fc.Arbitrary<DesiredRoute> = fc.oneof(
  fc.record({ kind: fc.constant('blackhole' as const), dst: fc.constant(dst), metric }),
  fc.record(
    {
      kind: fc.constant('native' as const),
      dst: fc.constant(dst),
      metric,
      origin: fc.constantFrom('bgp' as const, 'direct' as const),
      nextHops: fc.array(fc.record({ device, gateway: addr }), { minLength: 1, maxLength: 2 }),
      preferredSource: addr,
      node,
    },
    { requiredKeys: ['kind', 'dst', 'metric', 'origin', 'nextHops'] },
  ),
  fc.record(
    {
      kind: fc.constant('overlay' as const),
      dst: fc.constant(dst),
      metric,
      device,
      gateway: addr,
      preferredSource: addr,
      mtuBytes: fc.constantFrom(1400, 1450),
      encap: fc.record({ vni: fc.constantFrom(1, 2), src: addr, dst: addr }),
      node,
    },
    { requiredKeys: ['kind', 'dst', 'metric', 'device', 'gateway', 'mtuBytes', 'encap', 'node'] },
  ),
)

/** In another order of fields, and of other objects. */
const copyOf = (route: DesiredRoute): DesiredRoute =>
  Object.fromEntries(Object.entries(route).toReversed()) as unknown as DesiredRoute

const textOf = (route: DesiredRoute): string =>
  JSON.stringify(Object.entries(route).toSorted(([a], [b]) => (a < b ? -1 : 1)))

test('routes are the same exactly when all of their fields are', () => {
  const changed = fc.tuple(anyRoute, anyRoute, fc.nat(10)).map(([one, other, at]): [DesiredRoute, DesiredRoute] => {
    const key = Object.keys(one)[at % Object.keys(one).length]!
    // another value of one field, as far as the other route has it
    return [one, one.kind === other.kind && key in other ? { ...one, [key]: other[key as never] } : other]
  })
  fc.assert(
    fc.property(changed, ([one, other]) => {
      assert.equal(sameDesired(one, other), textOf(one) === textOf(other))
      assert.ok(sameDesired(one, copyOf(one)))
    }),
    { numRuns: 3000 },
  )
})
