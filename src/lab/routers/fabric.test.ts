import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Prefix } from '#/lib/addr.ts'
import { gatewaysOf, labNodes, type LabSpec } from '../spec.ts'
import { type Router, routersOf, underlayPrefixes } from './fabric.ts'
import { rackedLab } from './testing.ts'

const specs: fc.Arbitrary<LabSpec> = fc
  .record({
    count: fc.integer({ min: 1, max: 50 }),
    tors: fc.integer({ min: 1, max: 2 }),
    nodes: fc.integer({ min: 1, max: 200 }),
    families: fc.constantFrom('ipv4', 'ipv6', 'dual'),
    nodeAsns: fc.constantFrom('one', 'rack'),
  })
  .map(({ count, tors, nodes, families, nodeAsns }) => rackedLab({ nodes, families }, { count, tors, nodeAsns }))

function addressesOf(routers: readonly Router[]): string[] {
  return routers.flatMap(({ links, loopbacks }) => [
    ...links.flatMap(({ addrs }) => addrs.map(({ addr }) => String(addr))),
    ...loopbacks.map(String),
  ])
}

test('no address is given twice, to routers or nodes, and no router id', () => {
  fc.assert(
    fc.property(specs, (spec) => {
      const routers = routersOf(spec)
      const addrs = [...addressesOf(routers), ...labNodes(spec).flatMap((node) => node.addrs.map(String))]
      assert.equal(new Set(addrs).size, addrs.length)
      assert.equal(new Set(routers.map(({ id }) => String(id))).size, routers.length)
    }),
    { numRuns: 50 },
  )
})

test('sessions of routers have two ends that agree, on one link', () => {
  fc.assert(
    fc.property(specs, (spec) => {
      const routers = routersOf(spec)
      for (const router of routers) {
        for (const { name, addr, localAddr, asn, device } of router.routers) {
          const other = routers.find((each) => each.name === name)!
          assert.equal(other.asn, asn)
          assert.ok(other.routers.some((back) => back.addr.equals(localAddr) && back.asn === router.asn))
          const link = router.links.find((each) => each.device === device)!
          assert.ok(link.addrs.some((own) => new Prefix(own.addr, own.prefixLength).contains(addr)))
        }
      }
    }),
    { numRuns: 50 },
  )
})

test("every router of a rack has all of the rack's nodes as neighbours, and is a gateway of theirs", () => {
  fc.assert(
    fc.property(specs, (spec) => {
      const [, ...tors] = routersOf(spec)
      assert.equal(tors.length, spec.racks!.count * spec.racks!.tors)
      for (const { rack, links } of tors) {
        const nodes = labNodes(spec).filter((node) => node.rack === rack!.number)
        assert.deepEqual(
          rack!.nodes.map(({ name, addr }) => [name, String(addr)]),
          nodes.map(({ name, addrs }) => [name, String(addrs[0])]),
        )
        for (const { addr } of links.find(({ device }) => device === 'nodes')!.addrs)
          assert.ok(gatewaysOf(spec, addr.family, rack!.number).some((gateway) => gateway.equals(addr)))
      }
    }),
    { numRuns: 50 },
  )
})

test('AS numbers: spine, racks, and nodes in one AS or one of each rack', () => {
  const one = routersOf(rackedLab({}, { count: 2, tors: 2 }))
  assert.deepEqual(
    one.map(({ name, asn, rack }) => [name, asn, rack?.nodesAsn]),
    [
      ['spine', 65_000, undefined],
      ['rack-1', 65_001, 64_512],
      ['rack-1b', 65_001, 64_512],
      ['rack-2', 65_002, 64_512],
      ['rack-2b', 65_002, 64_512],
    ],
  )
  const [, ...tors] = routersOf(rackedLab({}, { count: 2, nodeAsns: 'rack' }))
  assert.deepEqual(
    tors.map(({ rack }) => rack!.nodesAsn),
    [64_513, 64_514],
  )
})

test('the prefixes that all routers learn are those of racks and API, of each family', () => {
  assert.deepEqual(underlayPrefixes(rackedLab({}, { count: 2 })).map(String), [
    '172.30.1.0/24',
    '172.30.2.0/24',
    'fd30:0:0:1::/64',
    'fd30:0:0:2::/64',
    '172.30.255.1/32',
    'fd30:0:0:ff::1/128',
  ])
  const { racks: _racks, ...flat } = rackedLab({}, {})
  assert.deepEqual(routersOf(flat), [])
})
