import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { type Verdict } from '#/model/verdict.ts'
import { noRemotePlan } from '#/plan/remote-plan.ts'
import { SysError } from '#/sys/libc.ts'
import { type Peers, Probing } from './probing.ts'

function verdict(number: number): Verdict {
  const tunnel = {
    outer: 4,
    src: Addr.parse('172.30.1.1'),
    dst: Addr.parse(`172.30.1.${number}`),
    gateway: Addr.parse('169.254.42.1'),
  } as const
  const dst = Prefix.parse(`10.244.${number}.0/24`)
  return { way: 'vxlan', node: `node-${number}`, dst, tunnel, mtuBytes: 1450, reason: '' }
}

function peersOf(numbers: readonly number[]): Peers {
  const verdicts = numbers.map(verdict)
  return {
    self: { name: 'node-1', podCIDRs: [Prefix.parse('10.244.1.0/24')], addrs: [Addr.parse('172.30.1.1')] },
    plans: new Map(
      verdicts.map((each, index) => {
        const tunnelEnds = [Addr.parse(`172.30.1.${numbers[index]}`)]
        return [each.node, { ...noRemotePlan, verdicts: [each], tunnelEnds, underlay: [{ family: 4, mtuBytes: 1500 }] }]
      }),
    ),
    verdicts,
    isNear: () => true,
  }
}

/** A node from which nothing can be sent. */
function deaf(): never {
  throw new SysError('socket', 101)
}

test('while the API is away, nodes from which nothing comes may have died, and this one is not cut off', async () => {
  const clock = new ManualClock()
  let sent = 0
  let isLifeKnown = true
  await using probing = new Probing({
    nodeName: 'node-1',
    everyMs: 0,
    peers: () => peersOf([2, 3]),
    isLive: () => true,
    isLifeKnown: () => isLifeKnown,
    onChange() {},
    log: silent,
    clock,
    openSocket: deaf,
    readPackets: async (set) =>
      new Map(set.startsWith('to') ? [2, 3].map((number) => [`172.30.1.${number}`, sent]) : []),
  })
  for (let round = 0; round < 6; round++) {
    await clock.advance(15_000)
    sent += 100
    const looked = probing.round()
    await clock.advance(100)
    await looked
  }
  assert.match(probing.isolation ?? '', /nothing comes from any.*: node-2, node-3$/)
  isLifeKnown = false
  assert.equal(probing.isolation, undefined)
  assert.deepEqual(
    probing.problems.map(({ object }) => object),
    ['node/node-2', 'node/node-3'],
  )
})

test('partners are eight nodes that live; one that dies is asked no more, and another takes its place', async () => {
  const clock = new ManualClock()
  const dead = new Set<string>()
  const numbers = Array.from({ length: 30 }, (_, index) => index + 2)
  const all = peersOf(numbers)
  await using probing = new Probing({
    nodeName: 'node-1',
    everyMs: 1_000,
    peers: () => all,
    isLive: (name) => !dead.has(name),
    isLifeKnown: () => true,
    onChange() {},
    log: silent,
    clock,
    openSocket: deaf,
    readPackets: async () => new Map(),
  })
  const asked = (): string[] => [...new Set(probing.report().ways.map(({ node }) => node))]
  probing.start()
  await clock.advance(5_000)
  const before = asked()
  assert.ok(before.length >= 5 && before.length <= 8, before.join())
  assert.equal(probing.report().others, 30)
  dead.add(before[0]!)
  await clock.advance(4_000)
  const after = asked()
  assert.ok(!after.includes(before[0]!))
  assert.ok(before.slice(1).every((name) => after.includes(name)))
  assert.deepEqual(probing.problems, [], 'what cannot be sent since the agent began says nothing')
  const [way] = probing.report().ways
  assert.match(way!.small.refused!.why, /ENETUNREACH/)
  assert.equal(way!.small.refused!.by, 'this node')
})

test('a clock that jumps, and a process that stands still, cause no burst', async () => {
  const clock = new ManualClock()
  let sends = 0
  await using probing = new Probing({
    nodeName: 'node-1',
    everyMs: 1_000,
    peers: () => peersOf([2]),
    isLive: () => true,
    isLifeKnown: () => true,
    onChange() {},
    log: silent,
    clock,
    openSocket: () => {
      sends++
      return deaf()
    },
    readPackets: async () => new Map(),
  })
  probing.start()
  await clock.advance(60_000)
  const perMinute = sends
  assert.ok(perMinute <= 2 * 68, `${perMinute} sends in a minute to two ways`)
  clock.jumpWall(86_400_000)
  await clock.advance(2_000)
  assert.ok(sends - perMinute <= 2 * 2)
  clock.jumpWall(-2 * 86_400_000)
  await clock.advance(2_000)
  assert.ok(sends - perMinute <= 2 * 4)
})

test('a node to which packets go and from which nothing comes is asked besides, for as long as that is so', async () => {
  const clock = new ManualClock()
  const numbers = Array.from({ length: 30 }, (_, index) => index + 2)
  const all = peersOf(numbers)
  const sent = new Map(numbers.map((number) => [`172.30.1.${number}`, 0]))
  const received = new Map<string, number>()
  await using probing = new Probing({
    nodeName: 'node-1',
    everyMs: 1_000,
    peers: () => all,
    isLive: () => true,
    isLifeKnown: () => true,
    onChange() {},
    log: silent,
    clock,
    openSocket: deaf,
    readPackets: async (set) => new Map(set.startsWith('to') ? sent : received),
  })
  const asked = (): string[] => [...new Set(probing.report().ways.map(({ node }) => node))]
  probing.start()
  await clock.advance(5_000)
  const partners = asked()
  const strangers = numbers.filter((number) => !partners.includes(`node-${number}`)).slice(0, 6)
  for (let round = 0; round < 4; round++) {
    for (const number of strangers) sent.set(`172.30.1.${number}`, sent.get(`172.30.1.${number}`)! + 100)
    await clock.advance(15_500)
  }
  const guests = asked().filter((name) => !partners.includes(name))
  assert.deepEqual(guests.length, 4, 'no more than four')
  assert.ok(guests.every((name) => strangers.includes(Number(name.slice('node-'.length)))))
  for (const end of sent.keys()) received.set(end, 1)
  await clock.advance(20_000)
  for (const end of sent.keys()) received.set(end, 2)
  await clock.advance(140_000)
  assert.deepEqual(asked(), partners)
})
