import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { mostPartners, partnersOf } from './partners.ts'

type Node = { readonly name: string; readonly subnet: number }

/** Some nodes with different names in a few subnets, also of very different sizes. */
const clusters = fc
  .array(fc.tuple(fc.stringMatching(/^[a-z]{1,3}-[0-9]{1,3}$/), fc.constantFrom(0, 0, 0, 1, 2)), { maxLength: 60 })
  .map((all): Node[] => [...new Map(all).entries()].map(([name, subnet]) => ({ name, subnet })))

function partners(nodes: readonly Node[], self: Node): readonly string[] {
  const others = nodes.filter(({ name }) => name !== self.name)
  return partnersOf(
    self.name,
    others.map(({ name, subnet }) => ({ name, isNear: subnet === self.subnet })),
  )
}

function allOf(nodes: readonly Node[]): ReadonlyMap<string, readonly string[]> {
  return new Map(nodes.map((node) => [node.name, partners(nodes, node)]))
}

test('a node asks and is asked by no more than the limit, never itself; in a small cluster everybody asks everybody', () => {
  fc.assert(
    fc.property(clusters, (nodes) => {
      const asked = new Map<string, number>()
      for (const [name, names] of allOf(nodes)) {
        assert.ok(names.length <= mostPartners && !names.includes(name))
        if (nodes.length <= mostPartners + 1) assert.equal(names.length, nodes.length - 1)
        for (const each of names) asked.set(each, (asked.get(each) ?? 0) + 1)
      }
      if (nodes.length < 2) return
      for (const { name } of nodes) {
        const count = asked.get(name) ?? 0
        assert.ok(count <= mostPartners, `${name} is asked by ${count}`)
        assert.ok(count >= Math.min(mostPartners / 2, nodes.length - 1), `${name} is asked by ${count}`)
      }
    }),
  )
})

test('in each subnet nodes of it are asked, and each subnet is asked from outside', () => {
  fc.assert(
    fc.property(clusters, (nodes) => {
      const subnetOf = new Map(nodes.map(({ name, subnet }) => [name, subnet]))
      const all = allOf(nodes)
      for (const [subnet, members] of Map.groupBy(nodes, (node) => node.subnet)) {
        for (const member of members) {
          const inside = all.get(member.name)!.filter((name) => subnetOf.get(name) === subnet)
          assert.ok(inside.length >= Math.min(mostPartners / 2, members.length - 1))
        }
        if (members.length === nodes.length) continue
        const outside = members.flatMap(({ name }) => all.get(name)!.filter((each) => subnetOf.get(each) !== subnet))
        assert.ok(outside.length > 0, `nobody of subnet ${subnet} asks another one`)
      }
    }),
  )
})

test('a node that comes or goes changes few partners, and the order of nodes none', () => {
  fc.assert(
    fc.property(clusters, fc.nat(), (nodes, pick) => {
      if (nodes.length < mostPartners + 4) return
      const gone = nodes[pick % nodes.length]!
      const rest = nodes.filter((node) => node !== gone)
      const [before, after] = [allOf(nodes), allOf(rest.toReversed())]
      let changes = 0
      for (const { name } of rest) {
        const former = new Set(before.get(name))
        const fresh = after.get(name)!.filter((each) => !former.has(each)).length
        assert.ok(fresh <= 2, `${name} has ${fresh} new partners`)
        changes += fresh
      }
      assert.ok(changes <= mostPartners, `${changes} changes`)
      assert.deepEqual(
        allOf(rest.toReversed()),
        new Map(rest.toReversed().map((node) => [node.name, partners(rest, node)])),
      )
    }),
  )
})

test('in a cluster of 1,000 nodes each is asked by about as many', () => {
  const nodes = Array.from({ length: 1000 }, (_, index) => ({ name: `node-${index}`, subnet: index % 25 }))
  const asked = new Map<string, number>()
  for (const names of allOf(nodes).values())
    for (const name of names) {
      asked.set(name, (asked.get(name) ?? 0) + 1)
    }
  const counts = [...asked.values()]
  assert.equal(counts.length, 1000)
  assert.ok(Math.min(...counts) >= 4 && Math.max(...counts) <= mostPartners)
  assert.ok(counts.reduce((sum, count) => sum + count, 0) > 7_800, 'the two rings are hardly ever alike')
})
