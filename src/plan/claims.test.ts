import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type NodeLife, type NodeState } from '#/model/network.ts'
import { ClaimIndex, compareClaimants } from './claims.ts'

const ready = (created: string): NodeLife => ({ sign: 'ready', readyChanged: '', created })
const unready = (created: string, readyChanged: string): NodeLife => ({ sign: 'agent', readyChanged, created })
const stranger = (created: string): NodeLife => ({ sign: 'none', readyChanged: '', created })

type Given = { cidrs?: string[]; former?: string[]; addrs?: string[]; life?: NodeLife }

function node(name: string, { cidrs = [], former = [], addrs = [], life }: Given): NodeState {
  return {
    name,
    podCIDRs: cidrs.map(Prefix.parse),
    ...(former.length > 0 && { formerCIDRs: former.map(Prefix.parse) }),
    addrs: addrs.map(Addr.parse),
    ...(life && { life }),
  }
}

function settle(...nodes: NodeState[]): Record<string, string> {
  const index = new ClaimIndex()
  for (const each of nodes) index.update([[each.name, each]])
  return Object.fromEntries(
    nodes.map(({ name }) => {
      const { node: settled, problems } = index.settled(name)!
      return [name, [...settled.podCIDRs, ...settled.addrs, ...problems.map(({ code }) => code)].join(' ')]
    }),
  )
}

test('a newcomer takes nothing from a node that is alive, however wide its claim and whatever its name', () => {
  for (const [cidr, own] of [
    ['10.244.2.0/24', '10.244.2.0/24'],
    ['10.244.0.0/21', '10.244.2.0/24'],
    ['10.244.2.128/25', '10.244.2.0/24'],
    ['fd10:244::/48', 'fd10:244:0:2::/64'],
  ] as const)
    for (const newcomer of ['aaa', 'zzz'])
      for (const life of [ready('2026-02-01T00:00:00Z'), stranger('2026-01-01T00:00:00Z'), stranger('')]) {
        const live = node('node-2', { cidrs: [own], life: ready('2026-01-01T00:00:00Z') })
        const all = settle(live, node(newcomer, { cidrs: [cidr], life }))
        assert.deepEqual(all, { 'node-2': own, [newcomer]: 'CW1103' })
      }
})

test('one wide claim is one problem, and those whose CIDRs it covers have none', () => {
  const life = ready('2026-01-01T00:00:00Z')
  const nodes = [1, 2, 3].map((n) => node(`node-${n}`, { cidrs: [`10.244.${n}.0/24`], life }))
  const all = settle(...nodes, node('zz-new', { cidrs: ['10.244.0.0/16'], life: ready('2026-03-01T00:00:00Z') }))
  assert.deepEqual(Object.values(all), ['10.244.1.0/24', '10.244.2.0/24', '10.244.3.0/24', 'CW1103'])
})

test('signs of life go before age, and of two that are not Ready the one that was so more recently has the better claim', () => {
  const sorted = [
    node('e-ready-old', { life: ready('2026-01-01T00:00:00Z') }),
    node('d-ready-new', { life: ready('2026-02-01T00:00:00Z') }),
    node('c-just-unready', { life: unready('2026-01-01T00:00:00Z', '2026-05-02T00:00:00Z') }),
    node('b-long-unready', { life: unready('2025-01-01T00:00:00Z', '2026-05-01T00:00:00Z') }),
    node('a-never-seen', { life: stranger('2024-01-01T00:00:00Z') }),
    node('a-unknown', {}),
    node('b-unknown', {}),
  ]
  assert.deepEqual(
    sorted
      .toReversed()
      .toSorted(compareClaimants)
      .map(({ name }) => name),
    // without a creation time a node sorts as the oldest of those that show no life
    ['e-ready-old', 'd-ready-new', 'c-just-unready', 'b-long-unready', 'a-unknown', 'b-unknown', 'a-never-seen'],
  )
})

test('two nodes with one address both keep it, and the less alive one has the problem', () => {
  const renamed = node('aaa-old', {
    addrs: ['172.30.1.12'],
    life: unready('2025-01-01T00:00:00Z', '2026-01-01T00:00:00Z'),
  })
  const now = node('node-2', { addrs: ['172.30.1.12'], life: ready('2026-01-01T00:00:00Z') })
  assert.deepEqual(settle(renamed, now), { 'aaa-old': '172.30.1.12 CW1104', 'node-2': '172.30.1.12' })
})

test('an address within a pod CIDR of a node with the better claim is a pod, and a CIDR over the address of one is refused', () => {
  const live = node('node-2', { cidrs: ['10.244.2.0/24'], addrs: ['10.9.0.2'], life: ready('2026-01-01T00:00:00Z') })
  const pod = node('pod', { cidrs: ['10.244.3.0/24'], addrs: ['10.244.2.7'], life: ready('2026-02-01T00:00:00Z') })
  assert.deepEqual(settle(live, pod), { 'node-2': '10.244.2.0/24 10.9.0.2', pod: '10.244.3.0/24 CW1113' })
  const wide = node('wide', { cidrs: ['10.9.0.0/16'], life: ready('2026-02-01T00:00:00Z') })
  assert.deepEqual(settle(live, wide), { 'node-2': '10.244.2.0/24 10.9.0.2', wide: 'CW1112' })
})

test('a former pod CIDR stands as long as no node has it now', () => {
  const life = ready('2026-01-01T00:00:00Z')
  const before = node('node-1', { cidrs: ['10.244.9.0/24'], former: ['10.244.1.0/24'], life })
  assert.equal(settle(before)['node-1'], '10.244.9.0/24 10.244.1.0/24')
  const heir = node('node-2', { cidrs: ['10.244.1.0/24'], life: stranger('2026-06-01T00:00:00Z') })
  assert.deepEqual(settle(before, heir), { 'node-1': '10.244.9.0/24', 'node-2': '10.244.1.0/24' })
})

const anyLife = fc.oneof(
  fc.constant(undefined),
  fc.record({
    sign: fc.constantFrom('ready', 'agent', 'none'),
    readyChanged: fc.constantFrom('', '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'),
    created: fc.constantFrom('', '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'),
  }),
)
const anyCIDR = fc
  .tuple(fc.nat(7), fc.constantFrom(21, 23, 24, 25))
  .map(([third, length]) => String(new Prefix(Addr.parse(`10.244.${third}.0`), length)))
const anyNode = fc
  .record({
    name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    cidrs: fc.uniqueArray(anyCIDR, { maxLength: 2 }),
    former: fc.uniqueArray(anyCIDR, { maxLength: 1 }),
    addrs: fc.uniqueArray(fc.constantFrom('10.244.1.9', '10.244.2.9', '172.30.1.1'), { maxLength: 2 }),
    life: anyLife,
  })
  .map(({ name, life, ...more }) => node(name, { ...more, ...(life && { life }) }))

test('whatever nodes claim, no two of them keep overlapping pod CIDRs, the best claimant keeps all, and the order of news is nothing', () => {
  fc.assert(
    fc.property(fc.uniqueArray(anyNode, { selector: ({ name }) => name }), (nodes) => {
      const index = new ClaimIndex()
      for (const each of nodes) index.update([[each.name, each]])
      const settled = nodes.map(({ name }) => index.settled(name)!.node)
      for (const one of settled)
        for (const other of settled)
          if (one.name !== other.name)
            for (const cidr of one.podCIDRs) assert.ok(!other.podCIDRs.some((each) => each.overlaps(cidr)))
      const [best] = nodes.toSorted(compareClaimants)
      if (best) {
        const kept = settled.find(({ name }) => name === best.name)!
        for (const cidr of best.podCIDRs) assert.ok(kept.podCIDRs.some((each) => each.equals(cidr)))
        assert.deepEqual(kept.addrs, best.addrs)
      }
      assert.deepEqual(settle(...nodes.toReversed()), Object.fromEntries(Object.entries(settle(...nodes)).toReversed()))
    }),
    { numRuns: 1000 },
  )
})

test('a change affects every node whose settled claims it changes', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(anyNode, fc.boolean()), { maxLength: 12 }), (changes) => {
      const index = new ClaimIndex()
      const known = new Set<string>()
      const content = (name: string): string => JSON.stringify(index.settled(name) ?? null)
      for (const [each, isGone] of changes) {
        known.add(each.name)
        const before = new Map([...known].map((name) => [name, content(name)]))
        const affected = index.update([[each.name, isGone ? undefined : each]])
        for (const name of known) if (content(name) !== before.get(name)) assert.ok(affected.has(name), name)
      }
    }),
    { numRuns: 1000 },
  )
})

test('hundreds of nodes with one pod CIDR, and of wider and narrower ones, are settled without asking each other for ever', () => {
  const index = new ClaimIndex()
  const nodes = Array.from({ length: 400 }, (_, n) =>
    // the better claims sort last by name
    node(`n${String(1000 - n)}`, {
      cidrs: [n % 3 === 0 ? '10.244.1.0/24' : n % 3 === 1 ? '10.244.0.0/20' : '10.244.1.128/25'],
      life: ready(`2026-01-01T00:${String(Math.floor(n / 60)).padStart(2, '0')}:${String(n % 60).padStart(2, '0')}Z`),
    }),
  )
  for (const each of nodes) index.update([[each.name, each]])
  const kept = nodes.filter(({ name }) => index.settled(name)!.node.podCIDRs.length > 0)
  assert.deepEqual(
    kept.map(({ name }) => name),
    ['n1000'],
  )
})

test('what an annotation adds takes nothing from what the cluster assigned, however old its node', () => {
  const old: NodeState = {
    ...node('control', { cidrs: ['10.244.0.0/24', '10.244.0.0/17'], life: ready('2020-01-01T00:00:00Z') }),
    extraCIDRs: [Prefix.parse('10.244.0.0/17')],
  }
  const young = node('node-9', {
    cidrs: ['10.244.9.0/24'],
    life: unready('2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z'),
  })
  assert.deepEqual(settle(old, young), { control: '10.244.0.0/24 CW1103', 'node-9': '10.244.9.0/24' })
})

test('a former pod CIDR is not given up for a claim that another node has the better of', () => {
  const index = new ClaimIndex()
  const life = ready('2026-01-01T00:00:00Z')
  for (const each of [
    node('a', { cidrs: ['10.244.1.0/24'], life }),
    node('evil', { cidrs: ['10.244.0.0/17'], life: stranger('2026-06-01T00:00:00Z') }),
  ])
    index.update([[each.name, each]])
  assert.deepEqual(index.ownersIn(Prefix.parse('10.244.9.0/24')), [])
  assert.deepEqual(index.ownersIn(Prefix.parse('10.244.1.0/25')), ['a'])
})

/** What claims mean, word for word and with no regard to the cost: a claim stands when no better one that stands overlaps it. */
function slowlySettled(nodes: readonly NodeState[]): Record<string, string> {
  type Slow = { owner: NodeState; prefix: Prefix; rank: number; isAddr: boolean }
  const claims = nodes.flatMap((owner): Slow[] => [
    ...owner.podCIDRs.map((prefix) => ({ owner, prefix, rank: 0, isAddr: false })),
    ...(owner.formerCIDRs ?? []).map((prefix) => ({ owner, prefix, rank: 2, isAddr: false })),
    ...owner.addrs.map((addr) => ({ owner, prefix: Prefix.host(addr), rank: 0, isAddr: true })),
  ])
  const better = (claim: Slow): Slow[] =>
    claims.filter(
      (each) =>
        each.owner !== claim.owner &&
        each.prefix.overlaps(claim.prefix) &&
        (each.rank - claim.rank || compareClaimants(each.owner, claim.owner)) < 0,
    )
  const stands = (claim: Slow): boolean =>
    !better(claim).some((each) => (!claim.isAddr || !each.isAddr) && stands(each))
  return Object.fromEntries(
    nodes.map((owner) => {
      const own = claims.filter((claim) => claim.owner === owner && stands(claim))
      return [owner.name, own.map(({ prefix, isAddr }) => (isAddr ? prefix.addr : prefix)).join(' ')]
    }),
  )
}

test('after any batches of changes all is settled as from scratch, and as the definition has it', () => {
  const anyBatch = fc.array(fc.tuple(anyNode, fc.boolean()), { maxLength: 6 })
  fc.assert(
    fc.property(fc.array(anyBatch, { maxLength: 6 }), (batches) => {
      const index = new ClaimIndex()
      const known = new Map<string, NodeState>()
      for (const batch of batches) {
        index.update(batch.map(([each, isGone]) => [each.name, isGone ? undefined : each]))
        for (const [each, isGone] of batch)
          if (isGone) known.delete(each.name)
          else known.set(each.name, each)
        const scratch = new ClaimIndex()
        scratch.update([...known].toSorted(([a], [b]) => (a < b ? -1 : 1)))
        for (const name of known.keys())
          assert.equal(JSON.stringify(index.settled(name)), JSON.stringify(scratch.settled(name)))
        const kept = [...known.keys()].map((name) => {
          const { podCIDRs, addrs } = index.settled(name)!.node
          return [name, [...podCIDRs, ...addrs].join(' ')]
        })
        assert.deepEqual(Object.fromEntries(kept), slowlySettled([...known.values()]))
      }
    }),
    { numRuns: 500 },
  )
})

test('beside one wide claim, whoever wins, a change costs no more in a large cluster than in a small one', () => {
  /** How often claimants are compared, by the readings of their life, for: the wide claim, all others one by one, and a change of each. */
  const comparisons = (count: number, isWideOld: boolean): number[] => {
    let reads = 0
    const live = (name: string, cidrs: string[], created: string, addr: string): NodeState => {
      const life = ready(created)
      return Object.defineProperty({ ...node(name, { cidrs, addrs: [addr] }) }, 'life', {
        enumerable: true,
        get() {
          reads++
          return life
        },
      })
    }
    const narrow = (n: number, addr = `172.30.${n >> 8}.${n & 255}`): NodeState =>
      live(`n${n}`, [`10.${n >> 8}.${n & 255}.0/24`], '2026-01-02T00:00:00Z', addr)
    const index = new ClaimIndex()
    const wide = live('wide', ['10.0.0.0/8'], isWideOld ? '2026-01-01T00:00:00Z' : '2026-01-03T00:00:00Z', '172.31.0.1')
    const since = (work: () => void): number => {
      const before = reads
      work()
      return reads - before
    }
    const numbers = Array.from({ length: count }, (_, n) => n)
    return [
      since(() => index.update(numbers.map((n) => [`n${n}`, narrow(n)]))),
      since(() => index.update([['wide', wide]])),
      since(() => {
        for (const n of numbers) index.update([[`n${n}`, narrow(n, `172.29.${n >> 8}.${n & 255}`)]])
      }),
      since(() => {
        for (const n of numbers) index.settled(`n${n}`)
      }),
    ]
  }
  for (const isWideOld of [false, true]) {
    const [few, many] = [comparisons(200, isWideOld), comparisons(800, isWideOld)]
    for (const [step, count] of many.entries())
      assert.ok(
        count <= 6 * few[step]! + 100,
        `step ${step}: ${few[step]} comparisons, and ${count} of four times as many nodes`,
      )
  }
})
