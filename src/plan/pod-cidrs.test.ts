import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type Cursors, type HolderNode, planPodCidrs, type PodCidrConfig, podCidrConfigProblems } from './pod-cidrs.ts'

const prefixes = (...texts: string[]): Prefix[] => texts.map((text) => Prefix.parse(text))
const config = (...texts: string[]): PodCidrConfig => ({
  clusterCIDRs: prefixes(...texts),
  nodeMaskSizes: { 4: 24, 6: 64 },
})
const node = (name: string, ...held: string[]): HolderNode => ({ name, held: prefixes(...held), mayAllocate: true })
const assigned = (plan: ReturnType<typeof planPodCidrs>): string[] =>
  plan.assignments.map((each) => `${each.node} ${each.prefixes.join(' ')}`)

test('nodes get one of each family, in order of their names, primary family first', () => {
  const plan = planPodCidrs(config('fd00:10::/48', '10.244.0.0/16'), [node('b'), node('a')])
  assert.deepEqual(assigned(plan), ['a fd00:10::/64 10.244.0.0/24', 'b fd00:10:0:1::/64 10.244.1.0/24'])
  assert.deepEqual(plan.problems, [])
})

test('a pod CIDR that a node holds stays, whatever its size, and is given to no other node', () => {
  const nodes = [node('a'), node('b', '10.244.0.0/23'), node('c', '10.244.3.128/25'), node('d'), node('e')]
  const plan = planPodCidrs(config('10.244.0.0/16'), nodes)
  assert.deepEqual(assigned(plan), ['a 10.244.2.0/24', 'd 10.244.4.0/24', 'e 10.244.5.0/24'])
  assert.deepEqual(plan.pools[0], {
    clusterCIDR: Prefix.parse('10.244.0.0/16'),
    nodeMaskSize: 24,
    slots: 256,
    freeSlots: 250,
  })
})

test('a freed slot is used again only after the others', () => {
  const four = config('10.244.0.0/22')
  const first = planPodCidrs(four, [node('a'), node('b')])
  const second = planPodCidrs(four, [node('b', '10.244.1.0/24'), node('c'), node('d'), node('e')], first.cursors)
  assert.deepEqual(assigned(second), ['c 10.244.2.0/24', 'd 10.244.3.0/24', 'e 10.244.0.0/24'])
})

test('the next cluster CIDR is used when one is full, and when all are, nodes get none of either family', () => {
  const plan = planPodCidrs(config('10.0.0.0/24', 'fd00::/48', '10.0.5.0/24'), [node('a'), node('b'), node('c')])
  assert.deepEqual(assigned(plan), ['a 10.0.0.0/24 fd00::/64', 'b 10.0.5.0/24 fd00:0:0:1::/64'])
  assert.deepEqual(plan.problems, [{ kind: 'exhausted', node: 'c', family: 4 }])
  assert.equal(plan.pools[1]?.freeSlots, 65_534)
})

test('pod CIDRs outside of the cluster CIDRs, across them, and overlapping ones are problems', () => {
  const plan = planPodCidrs(config('10.244.0.0/16'), [
    node('a', '10.0.0.0/8'),
    node('b', '192.168.0.0/24'),
    node('c', '10.244.1.0/24'),
    node('d'),
  ])
  assert.deepEqual(
    plan.problems.map((problem) => JSON.parse(JSON.stringify(problem)) as unknown),
    [
      { kind: 'crossing', node: 'a', prefix: '10.0.0.0/8', clusterCIDR: '10.244.0.0/16' },
      { kind: 'overlap', nodes: ['a', 'c'], prefixes: ['10.0.0.0/8', '10.244.1.0/24'] },
      { kind: 'outside', node: 'b', prefix: '192.168.0.0/24' },
      { kind: 'exhausted', node: 'd', family: 4 },
    ],
  )
})

test('a node whose pod CIDRs cannot be read gets none; a node with a single family is a problem', () => {
  const unreadable: HolderNode = { name: 'a', held: [], mayAllocate: false }
  const plan = planPodCidrs(config('10.244.0.0/16', 'fd00::/48'), [unreadable, node('b', '10.244.7.0/24')])
  assert.deepEqual(plan.assignments, [])
  assert.deepEqual(plan.problems, [{ kind: 'family-missing', node: 'b', family: 6 }])
})

test('configuration errors name the cluster CIDR and what to do', () => {
  assert.deepEqual(podCidrConfigProblems(config('10.244.0.0/16', 'fd00::/48')), [])
  assert.match(podCidrConfigProblems(config())[0]!, /none given/)
  assert.match(
    podCidrConfigProblems(config('10.0.0.0/8', '10.1.0.0/16'))[0]!,
    /10\.1\.0\.0\/16: overlaps 10\.0\.0\.0\/8/,
  )
  assert.match(podCidrConfigProblems(config('10.0.0.0/26'))[0]!, /use \/26 or longer/)
  const odd = { clusterCIDRs: prefixes('10.0.0.0/16', 'fd00::/48'), nodeMaskSizes: { 4: 31, 6: 64.5 } }
  assert.equal(podCidrConfigProblems(odd).length, 2)
})

test('a v6 cluster CIDR of any size can be used', () => {
  const plan = planPodCidrs(config('::/0'), [node('a', 'ffff::/64'), node('b')])
  assert.deepEqual(assigned(plan), ['b ::/64'])
})

test('10,000 nodes are planned in well under a second', () => {
  const many = Array.from({ length: 10_000 }, (_, index) => node(`node-${index}`))
  const wide = { clusterCIDRs: prefixes('10.0.0.0/8', 'fd00::/32'), nodeMaskSizes: { 4: 24, 6: 64 } }
  const startedMs = performance.now()
  const first = planPodCidrs(wide, many)
  const held = first.assignments.map((each) => ({ name: each.node, held: each.prefixes, mayAllocate: true }))
  const second = planPodCidrs(wide, [...held, node('one-more')], first.cursors)
  assert.equal(first.assignments.length, 10_000)
  assert.equal(second.assignments.length, 1)
  assert.ok(performance.now() - startedMs < 2_000, `${performance.now() - startedMs} ms`)
})

type Step =
  | { kind: 'add' | 'remove'; name: number }
  | { kind: 'claim'; name: number; prefix: Prefix }
  | { kind: 'plan' }

const anyHeld = fc.record({ offset: fc.nat(1 << 14), length: fc.integer({ min: 20, max: 28 }) })
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('add' as const), name: fc.nat(30) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), name: fc.nat(30) }) },
  { weight: 3, arbitrary: fc.constant<Step>({ kind: 'plan' }) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.nat(30), anyHeld).map(([name, { offset, length }]): Step => {
      const prefix = new Prefix(Addr.parse('10.0.0.0').plus(offset), length)
      return { kind: 'claim', name, prefix }
    }),
  },
)

/** Sixteen v4 slots in two ranges and eight v6 slots: small enough to run out in most runs. */
const tight: PodCidrConfig = {
  clusterCIDRs: prefixes('10.0.0.0/21', 'fd00::/61', '10.0.16.0/21'),
  nodeMaskSizes: { 4: 24, 6: 64 },
}

test('no assignment ever overlaps what another node holds, over any history of adding, removing and foreign claims', () => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 60 }), (steps) => {
      let held = new Map<string, readonly Prefix[]>()
      let cursors: Cursors = new Map()
      for (const step of steps) {
        if (step.kind === 'remove') held.delete(`n${step.name}`)
        else if (step.kind === 'add') held.set(`n${step.name}`, held.get(`n${step.name}`) ?? [])
        else if (step.kind === 'claim') held.set(`n${step.name}`, [step.prefix])
        else ({ held, cursors } = planOnce(held, cursors))
      }
    }),
    { numRuns: 500 },
  )
})

function planOnce(
  held: ReadonlyMap<string, readonly Prefix[]>,
  cursors: Cursors,
): { held: Map<string, readonly Prefix[]>; cursors: Cursors } {
  const nodes = [...held].map(([name, own]): HolderNode => ({ name, held: own, mayAllocate: true }))
  const plan = planPodCidrs(tight, nodes, cursors)
  assert.deepEqual(plan, planPodCidrs(tight, nodes.toReversed(), cursors), 'the order of nodes matters not')
  const after = new Map(held)
  for (const { node: name, prefixes: given } of plan.assignments) {
    assert.deepEqual(held.get(name), [], 'only who has none is given some')
    assert.deepEqual(
      given.map(({ family }) => family),
      [4, 6],
    )
    const others = [...after].filter(([other]) => other !== name).flatMap(([, own]) => own)
    for (const prefix of given) {
      assert.ok(tight.clusterCIDRs.some((cidr) => cidr.contains(prefix)))
      assert.ok(!others.some((other) => other.overlaps(prefix)), `${prefix} for ${name} is taken`)
    }
    after.set(name, given)
  }
  checkNobodyStarves(after, plan.problems.length)
  checkOverlapsAreTold(held, plan.problems)
  return { held: after, cursors: plan.cursors }
}

/** Who got nothing got it because some family has no free slot left, and was told. */
function checkNobodyStarves(after: ReadonlyMap<string, readonly Prefix[]>, problems: number): void {
  const hungry = [...after].filter(([, own]) => own.length === 0)
  if (hungry.length === 0) return
  const taken = [...after.values()].flat()
  const freeOf = (family: 4 | 6): number =>
    tight.clusterCIDRs
      .filter((cidr) => cidr.family === family)
      .flatMap((cidr) =>
        Array.from(
          { length: 8 },
          (_, slot) => new Prefix(cidr.at(BigInt(slot) << (family === 4 ? 8n : 64n)), family === 4 ? 24 : 64),
        ),
      )
      .filter((slot) => !taken.some((other) => other.overlaps(slot))).length
  assert.ok(freeOf(4) === 0 || freeOf(6) === 0)
  assert.ok(problems >= hungry.length)
}

function checkOverlapsAreTold(
  held: ReadonlyMap<string, readonly Prefix[]>,
  problems: ReturnType<typeof planPodCidrs>['problems'],
): void {
  const told = new Set(problems.flatMap((problem) => (problem.kind === 'overlap' ? problem.nodes : [])))
  const claims = [...held].flatMap(([name, own]) => own.map((prefix) => ({ name, prefix })))
  for (const [name, own] of held) {
    const clash = claims.some((other) => other.name !== name && own.some((prefix) => prefix.overlaps(other.prefix)))
    assert.equal(told.has(name), clash, name)
  }
}
