import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type BgpMember } from './bgp-member.ts'
import { reflectorsOf } from './bgp-reflectors.ts'
import { configurationOf, members } from './testing/bgp-scene.ts'

const auto = (reflectors: object) => configurationOf({ nodeMesh: 'Auto', reflectors })
const inZones = (count: number) => (n: number) => ({ 'topology.kubernetes.io/zone': `z${n % count}` })
const chosen = (nodes: readonly BgpMember[], configuration = auto({ above: 1 })): string[] =>
  [...(reflectorsOf(nodes, configuration) ?? [])].sort()

test('up to the limit there are none, beyond it as many as wanted', () => {
  assert.equal(reflectorsOf(members(100), auto({})), undefined)
  assert.equal(reflectorsOf(members(101), auto({}))?.size, 3)
  assert.equal(reflectorsOf(members(101), configurationOf({ nodeMesh: 'Full' })), undefined)
  assert.equal(reflectorsOf(members(2), auto({ above: 1, count: 5 }))?.size, 2)
})

test('those that a label names are the reflectors, at any size, ready or not', () => {
  const nodes = members(3, (n) => (n === 2 ? { rr: '' } : {})).map((node) => ({ ...node, isReady: false }))
  assert.deepEqual(chosen(nodes, auto({ nodeSelector: { matchLabels: { rr: '' } } })), ['node-2'])
  // that selects none is as if nothing had been said
  assert.equal(reflectorsOf(nodes, auto({ nodeSelector: { matchLabels: { rs: '' } } })), undefined)
})

test('they are of different zones, as long as there are some', () => {
  const zoneOf = (nodes: readonly BgpMember[], names: readonly string[]): number =>
    new Set(names.map((name) => nodes.find((node) => node.name === name)!.labels['topology.kubernetes.io/zone'])).size
  for (const [zones, wanted] of [
    [5, 3],
    [3, 3],
    [2, 2],
    [1, 1],
  ] as const) {
    const nodes = members(40, inZones(zones))
    assert.equal(chosen(nodes).length, 3)
    assert.equal(zoneOf(nodes, chosen(nodes)), wanted)
  }
})

test('a node that is not ready is passed over, unless most are not', () => {
  const nodes = members(20)
  const [first] = chosen(nodes)
  const without = nodes.map((node) => ({ ...node, isReady: node.name !== first }))
  assert.ok(!chosen(without).includes(first!))
  assert.equal(chosen(without).length, 3)
  const outage = nodes.map((node, index) => ({ ...node, isReady: index < 5 }))
  assert.deepEqual(chosen(outage), chosen(nodes))
})

test('the order of nodes makes no difference, and one that comes or goes changes one reflector at most', () => {
  const cluster = fc.record({
    count: fc.integer({ min: 4, max: 60 }),
    zones: fc.integer({ min: 1, max: 8 }),
    reflectors: fc.integer({ min: 1, max: 6 }),
    gone: fc.nat(),
    turn: fc.nat(),
  })
  fc.assert(
    fc.property(cluster, ({ count, zones, reflectors, gone, turn }) => {
      const configuration = auto({ above: 1, count: reflectors })
      const nodes = members(count, inZones(zones))
      const before = new Set(chosen(nodes, configuration))
      const at = turn % count
      assert.deepEqual(new Set(chosen([...nodes.slice(at), ...nodes.slice(0, at)], configuration)), before)
      const left = nodes[gone % count]!
      const after = new Set(
        chosen(
          nodes.filter((node) => node !== left),
          configuration,
        ),
      )
      const isOneOfThem = before.has(left.name)
      assert.equal(before.difference(after).size, isOneOfThem ? 1 : 0)
      assert.ok(after.difference(before).size <= 1)
      assert.equal(after.size, Math.min(reflectors, count - 1))
    }),
  )
})

test('names that are alike do not decide: neighbours by name are not chosen together', () => {
  const spread = chosen(members(200)).map((name) => Number(name.slice(5)))
  assert.ok(Math.max(...spread) - Math.min(...spread) > 20, String(spread))
})
