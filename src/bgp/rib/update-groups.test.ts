// Who is told what, when, and in how many pieces.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prefix } from '#/lib/addr.ts'
import { type PeerConfig, type RoutePolicy, type SpeakerConfig } from '#/model/bgp.ts'
import { peerConfig, RibRig, speakerConfig } from './testing/rib-rig.ts'

function rigOf(peers: readonly PeerConfig[], more: Partial<SpeakerConfig> = {}): RibRig {
  return new RibRig(speakerConfig({ peers, ...more }))
}

const own = [
  { prefix: Prefix.parse('10.9.0.0/24') },
  { prefix: Prefix.parse('2001:db8:9::/64'), communities: ['65000:9'] },
]
const many = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `10.${100 + (index >> 8)}.${index & 255}.0/24`)

test('End-of-RIB comes after all that there was, also when that is nothing', () => {
  const prefixes = many(3000)
  const rig = rigOf([
    peerConfig('a'),
    peerConfig('b'),
    peerConfig('c', { exportPolicy: { rules: [], otherwise: 'reject' } }),
  ])
  const a = rig.up('a', { families: [4] })
  // by the smallest portions
  rig.msPerLook = 4
  rig.announce(a, prefixes.slice(0, 2990))
  rig.settle()
  rig.announce(a, prefixes.slice(2990))
  const b = rig.up('b', { asn: 65_002, addr: '10.0.0.3', localAddr: '10.0.0.99', localAddrs: ['2001:db8::1'] })
  const c = rig.up('c', { asn: 65_003, addr: '10.0.0.4' })
  rig.settle()
  assert.deepEqual(a.events, ['end-of-rib 4'])
  assert.equal(b.events.indexOf('end-of-rib 4'), 3001)
  assert.deepEqual(b.events.filter((event) => event.startsWith('end')).sort(), ['end-of-rib 4', 'end-of-rib 6'])
  assert.deepEqual(c.events.toSorted(), ['end-of-rib 4', 'end-of-rib 6'])
})

test('a path never goes back to where it came from, and what it had of others before is withdrawn', () => {
  const rig = rigOf([peerConfig('a'), peerConfig('b'), peerConfig('c')])
  const [a, b, c] = ['a', 'b', 'c'].map((name, index) =>
    rig.up(name, { asn: 65_001 + index, addr: `10.0.0.${2 + index}` }),
  )
  rig.announce(b!, ['10.1.0.0/24'], { path: [65_002, 1, 2] })
  rig.settle()
  assert.deepEqual([a!.prefixes, b!.prefixes, c!.prefixes], [['10.1.0.0/24'], [], ['10.1.0.0/24']])
  const { writes } = b!
  rig.announce(a!, ['10.1.0.0/24'])
  rig.settle()
  assert.deepEqual([a!.prefixes, b!.prefixes, c!.prefixes], [[], ['10.1.0.0/24'], ['10.1.0.0/24']])
  assert.equal(b!.writes, writes + 1)
})

test('changes of one turn are one write, whoever they came from', () => {
  const names = Array.from({ length: 20 }, (_, index) => `p${index}`)
  const rig = rigOf(names.map((name) => peerConfig(name)))
  const sessions = names.map((name, index) => rig.up(name, { asn: 65_001 + index, addr: `10.0.0.${2 + index}` }))
  rig.settle()
  const before = sessions.map(({ writes }) => writes)
  sessions.slice(0, 10).forEach((session, index) => rig.announce(session, [`10.1.${index}.0/24`]))
  rig.settle()
  const wrote = sessions.map(({ writes }, index) => writes - before[index]!)
  assert.deepEqual(
    wrote.slice(10),
    Array.from({ length: 10 }, () => 1),
  )
  assert.ok(
    wrote.every((count) => count <= 2),
    `${wrote}`,
  )
  assert.deepEqual(sessions[3]!.prefixes.length, 9)
  assert.deepEqual(sessions[13]!.prefixes.length, 10)
})

test('a slow member misses nothing and holds up nobody', () => {
  const rig = rigOf([peerConfig('from'), peerConfig('slow'), peerConfig('fast')])
  const from = rig.up('from')
  const slow = rig.up('slow', { asn: 65_002, addr: '10.0.0.3' })
  const fast = rig.up('fast', { asn: 65_002, addr: '10.0.0.4' })
  rig.settle()
  slow.credit = 1
  const prefixes = many(200)
  rig.announce(from, prefixes)
  rig.settle()
  rig.announce(from, prefixes.slice(0, 100), { med: 1, path: [65_001, 7] })
  rig.withdraw(from, prefixes.slice(150))
  rig.settle()
  rig.announce(from, prefixes.slice(0, 50), { path: [65_001, 8] })
  rig.settle()
  assert.equal(slow.events.filter((event) => event.startsWith('announce')).length, 200)
  slow.drain(1)
  rig.settle()
  slow.drain()
  rig.settle()
  assert.deepEqual(slow.beliefs[4], fast.beliefs[4])
  // of what changed twice it is told once
  assert.equal(slow.events.filter((event) => event === 'announce 4 10.100.0.0/24').length, 2)
  assert.equal(fast.events.filter((event) => event === 'announce 4 10.100.0.0/24').length, 3)
})

test('a burst is worked off in portions', () => {
  const rig = rigOf([peerConfig('from'), peerConfig('to')])
  const from = rig.up('from')
  const to = rig.up('to', { asn: 65_002, addr: '10.0.0.3' })
  rig.settle()
  rig.msPerLook = 4
  rig.announce(from, many(3000))
  rig.settle()
  rig.down(from)
  rig.settle()
  assert.ok(rig.batches.length > 80)
  assert.equal(Math.max(...rig.batches.map(({ length }) => length)) <= 64, true)
  assert.equal(to.events.length, 6002)
  assert.deepEqual(to.prefixes, [])
})

test('a policy that changes withdraws what it rejects, and nothing else for a moment', () => {
  const rig = rigOf([peerConfig('from'), peerConfig('to')], { originated: own })
  const prefixes = many(3000)
  const from = rig.up('from')
  const to = rig.up('to', { asn: 65_002, addr: '10.0.0.3' })
  // in another order than the table has them
  rig.announce(from, prefixes.slice(0, 2000), { communities: [0xffff_ff01] })
  rig.announce(from, prefixes.slice(2000))
  rig.settle()
  rig.announce(from, prefixes.slice(0, 2000))
  rig.settle()
  to.events.length = 0
  rig.msPerLook = 4
  const exportPolicy: RoutePolicy = {
    rules: [{ match: { prefixes: [{ prefix: Prefix.parse('10.96.0.0/12'), maxLength: 24 }] }, action: 'accept' }],
    otherwise: 'reject',
  }
  rig.configure({ peers: [peerConfig('from'), peerConfig('to', { exportPolicy })] })
  rig.settle()
  assert.deepEqual(
    to.events.filter((event) => event.startsWith('withdraw')),
    ['withdraw 4 10.9.0.0/24'],
  )
  assert.equal(to.beliefs[4].size, 3000)
  assert.equal(to.events.filter((event) => event.startsWith('end')).length, 0)
  to.events.length = 0
  rig.configure({})
  rig.settle()
  assert.deepEqual(to.events, [])
})

test('what is not there any more after two changes of policy is withdrawn, however slow the member', () => {
  const rig = rigOf([peerConfig('from'), peerConfig('to')])
  const from = rig.up('from')
  const to = rig.up('to', { asn: 65_002, addr: '10.0.0.3' })
  rig.announce(from, many(3000))
  rig.settle()
  to.credit = 1
  rig.msPerLook = 4
  const only = (prefix: string): RoutePolicy => ({
    rules: [{ match: { prefixes: [{ prefix: Prefix.parse(prefix) }] }, action: 'accept' }],
    otherwise: 'reject',
  })
  rig.configure({ peers: [peerConfig('from'), peerConfig('to', { exportPolicy: only('10.100.1.0/24') })] })
  rig.turn()
  rig.configure({ peers: [peerConfig('from'), peerConfig('to', { exportPolicy: only('10.100.2.0/24') })] })
  to.drain()
  rig.settle()
  assert.deepEqual(to.prefixes, ['10.100.2.0/24'])
})
