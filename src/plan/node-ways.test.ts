import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type NodeWay } from '#/model/network.ts'
import { essentialWays, NodeWays } from './node-ways.ts'
import { linkWay } from './testing/link-way.ts'

const anyWay = fc
  .record({
    isV6: fc.boolean(),
    bits: fc.nat(255),
    length: fc.nat(8),
    device: fc.constantFrom('eth0', 'eth1'),
    kind: fc.constantFrom('link', 'router'),
    mtuBytes: fc.constantFrom(1500, 9000),
  })
  .map(({ isV6, bits, length, ...more }): NodeWay => {
    const addr = isV6 ? Addr.parse('fd30::').plus(BigInt(bits) << 112n) : new Addr(4, BigInt(bits) << 24n)
    return { ...linkWay('0.0.0.0/0'), ...more, prefix: new Prefix(addr, isV6 ? 8 + length : length) }
  })

const addrs = Array.from({ length: 256 }, (_, bits) => [
  new Addr(4, (BigInt(bits) << 24n) + 5n),
  Addr.parse('fd30::5').plus(BigInt(bits) << 112n),
]).flat()

/** The way of the longest prefix that holds the address; of several to one prefix the first. */
function longest(ways: readonly NodeWay[], addr: Addr): NodeWay | undefined {
  return ways
    .filter(({ prefix }) => prefix.contains(addr))
    .reduce<NodeWay | undefined>(
      (best, each) => (best === undefined || each.prefix.length > best.prefix.length ? each : best),
      undefined,
    )
}

const told = (way: NodeWay | undefined): unknown => way && [way.device, way.kind, way.mtuBytes]

test('the longest prefix counts, and what is left out changes no answer', () => {
  fc.assert(
    fc.property(fc.array(anyWay, { maxLength: 20 }), (ways) => {
      const essential = essentialWays(ways)
      const table = new NodeWays(essential)
      for (const addr of addrs) assert.deepEqual(told(table.find(addr)), told(longest(ways, addr)), String(addr))
      assert.ok(essential.length <= ways.length)
    }),
    { numRuns: 200 },
  )
})

test('of a route for each of thousands of nodes, all alike, one way is left', () => {
  const hosts = Array.from({ length: 5000 }, (_, index) =>
    linkWay(`192.0.${index >> 8}.${index & 255}/32`, { kind: 'router' }),
  )
  const ways = essentialWays([...hosts, linkWay('0.0.0.0/0', { kind: 'router' }), linkWay('172.30.1.0/24')])
  assert.deepEqual(
    ways.map(({ prefix, kind }) => `${prefix} ${kind}`),
    ['0.0.0.0/0 router', '172.30.1.0/24 link'],
  )
})
