import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prefix } from '#/lib/addr.ts'
import { nlriOf } from '#/wire/bgp/index.ts'
import { acceptEverything, peerConfig, RibRig, speakerConfig } from './testing/rib-rig.ts'

const nobody = { rules: [], otherwise: 'reject' } as const

function rigOf() {
  const refusing = (name: string) => peerConfig(name, { importPolicy: nobody })
  const peers = [peerConfig('a', { importPolicy: acceptEverything }), refusing('b'), refusing('c')]
  const rig = new RibRig(speakerConfig({ peers }))
  const [a, b, c] = ['a', 'b', 'c'].map((name, index) =>
    rig.up(name, { asn: 65_001 + index, addr: `10.0.0.${2 + index}` }),
  )
  return { rig, a: a!, b: b!, c: c! }
}

function many(count: number, second: number): string[] {
  return Array.from({ length: count }, (_, index) => `10.${second + (index >> 8)}.${index & 255}.0/24`)
}

test('a prefix that was only refused is there once, with all who sent it; one that was taken too', () => {
  const { rig, a, b, c } = rigOf()
  rig.announce(a, ['10.1.0.0/24'])
  for (const session of [b, c]) rig.announce(session, ['10.1.0.0/24', '10.2.0.0/24'])
  rig.announce(c, ['10.3.0.0/24', '2001:db8::/32'])
  rig.settle()
  const all = rig.paths().map(({ prefix, peer, isRefused }) => `${prefix} ${peer}${isRefused ? ' refused' : ''}`)
  assert.deepEqual(all, [
    '10.1.0.0/24 a',
    '10.1.0.0/24 b refused',
    '10.1.0.0/24 c refused',
    '10.2.0.0/24 b refused',
    '10.2.0.0/24 c refused',
    '10.3.0.0/24 c refused',
    '2001:db8::/32 c refused',
  ])
  assert.deepEqual(
    rig.paths({ prefix: '10.2.0.0/24', peer: 'c' }).map(({ prefix, peer }) => [prefix, peer]),
    [['10.2.0.0/24', 'c']],
  )
  assert.deepEqual(rig.advertised({ peer: 'b' }).length, 1)
  assert.deepEqual(
    rig.advertised({ prefix: '10.1.0.0/24' }).map(({ peer }) => peer),
    ['b', 'c'],
  )
  assert.deepEqual(rig.advertised({ prefix: '10.2.0.0/24' }), [])
})

test('of what is not told to whom it says why', () => {
  const only = (prefix: string) => ({
    rules: [{ match: { prefixes: [{ prefix: Prefix.parse(prefix) }] }, action: 'accept' as const }],
    otherwise: 'reject' as const,
  })
  const peers = [
    peerConfig('a', { importPolicy: acceptEverything }),
    peerConfig('internal', { importPolicy: acceptEverything }),
    peerConfig('other', { importPolicy: acceptEverything, exportPolicy: only('10.1.0.0/24') }),
  ]
  const config = speakerConfig({ peers })
  const rig = new RibRig(config)
  const a = rig.up('a', { asn: config.asn, addr: '10.0.0.2' })
  rig.up('internal', { asn: config.asn, addr: '10.0.0.3' })
  rig.up('other', { asn: 65_009, addr: '10.0.0.4' })
  rig.announce(a, ['10.1.0.0/24', '10.2.0.0/24'])
  rig.settle()
  const told = (peer: string) =>
    rig.advertised({ peer, isExplained: true }).map(({ prefix, notBecause = 'told' }) => `${prefix} ${notBecause}`)
  assert.deepEqual(told('a'), ['10.1.0.0/24 it is the peer that told it', '10.2.0.0/24 it is the peer that told it'])
  const reflectorsOnly = 'an internal peer told it, and only reflectors pass that on to others (RFC 4456)'
  assert.deepEqual(told('internal'), [`10.1.0.0/24 ${reflectorsOnly}`, `10.2.0.0/24 ${reflectorsOnly}`])
  assert.deepEqual(told('other'), [
    '10.1.0.0/24 told',
    '10.2.0.0/24 export policy: no rule matches, and others are rejected',
  ])
  assert.deepEqual(
    rig.advertised({ peer: 'other' }).map(({ prefix }) => prefix),
    ['10.1.0.0/24'],
  )
})

test('long lists come in short pieces, and go on over whatever changes meanwhile', () => {
  const { rig, a, b } = rigOf()
  rig.announce(a, many(2000, 1))
  rig.announce(b, many(2000, 100))
  rig.settle()
  const met: string[] = []
  let pieces = 0
  for (const piece of rig.rib.listing.paths({})) {
    assert.ok(piece.length <= 17)
    for (const { prefix } of piece) met.push(prefix)
    if (++pieces !== 10) continue
    rig.withdraw(a, many(1000, 1))
    rig.announce(a, many(9000, 20))
    rig.announce(b, many(5, 1))
    rig.withdraw(b, many(5, 100))
    rig.settle()
    rig.announce(b, many(5, 100))
    rig.settle()
  }
  for (const prefix of [...many(2000, 1).slice(1000), ...many(2000, 100)]) assert.ok(met.includes(prefix), prefix)
  assert.equal(new Set(met).size, met.length)
  assert.ok(pieces > 200)
})

test('what is treated as withdrawn is listed with its fault and time, until it is announced or withdrawn in order', () => {
  const { rig, a } = rigOf()
  const faulty = (prefixes: readonly string[]) => {
    for (const prefix of prefixes.map(Prefix.parse)) {
      const routes = [{ family: prefix.family, nlri: [nlriOf(prefix)] }]
      const treatedAsWithdrawn = { routes, because: 'ORIGIN: value 3' }
      rig.rib.update(a.neighbour, { withdrawn: routes, announced: [], treatedAsWithdrawn, faults: ['x'] })
    }
    rig.settle()
  }
  const listed = () =>
    rig
      .paths({ peer: 'a' })
      .map(({ prefix, isRefused, reason, treatedAsWithdrawnMs }) => [prefix, isRefused, reason, treatedAsWithdrawnMs])
  rig.announce(a, ['10.1.0.0/24'])
  faulty(['10.1.0.0/24', '2001:db8::/32'])
  const why = 'treated as withdrawn (RFC 7606): ORIGIN: value 3'
  assert.deepEqual(listed(), [
    ['10.1.0.0/24', true, why, 1_000_000],
    ['2001:db8::/32', true, why, 1_000_000],
  ])
  assert.equal(rig.paths({ prefix: '10.1.0.0/24' }).length, 1)
  rig.announce(a, ['10.1.0.0/24'])
  rig.withdraw(a, ['2001:db8::/32'])
  rig.settle()
  assert.deepEqual(listed(), [['10.1.0.0/24', false, 'the only path', undefined]])
  // only the latest are remembered
  faulty(many(300, 20))
  const remembered = listed().filter(([, isRefused]) => isRefused)
  assert.equal(remembered.length, 100)
  assert.equal(remembered.at(-1)?.[0], many(300, 20).at(-1))
  rig.down(a)
  rig.settle()
  assert.deepEqual(listed(), [])
})

test('what is our own and told to nobody is among what is not told, with the reason', () => {
  const untold = [
    { prefix: Prefix.parse('10.244.1.0/24'), because: 'this node is drained' },
    { prefix: Prefix.parse('2001:db8::/64'), because: 'another node has the better claim to it' },
  ]
  const rig = new RibRig(speakerConfig({ peers: [peerConfig('a')], untold }))
  rig.up('a', { asn: 65_001, addr: '10.0.0.2' })
  rig.settle()
  const told = (filter: object) =>
    rig.advertised(filter).map(({ prefix, peer, notBecause }) => [prefix, peer, notBecause])
  assert.deepEqual(told({}), [])
  assert.deepEqual(told({ isExplained: true }), [
    ['10.244.1.0/24', 'a', 'this node is drained'],
    ['2001:db8::/64', 'a', 'another node has the better claim to it'],
  ])
  assert.equal(told({ isExplained: true, prefix: '2001:db8::/64' }).length, 1)
})

test('a prefix that is asked for stands for the longest one that contains it, in both families', () => {
  const { rig, a, b } = rigOf()
  rig.announce(a, ['10.0.0.0/8', '10.1.0.0/16', '2001:db8::/32', '0.0.0.0/0'])
  rig.announce(b, ['10.1.2.0/24'])
  rig.settle()
  const found = (prefix: string, more: object = {}) => rig.paths({ prefix, ...more }).map((path) => path.prefix)
  assert.deepEqual(found('10.1.2.3/32'), ['10.1.2.0/24'], 'also one that was only refused')
  assert.deepEqual(found('10.1.2.3/32', { peer: 'a' }), ['10.1.0.0/16'])
  assert.deepEqual(found('10.1.0.0/16'), ['10.1.0.0/16'])
  assert.deepEqual(found('10.0.0.0/9'), ['10.0.0.0/8'])
  assert.deepEqual(found('192.0.2.1/32'), ['0.0.0.0/0'])
  assert.deepEqual(found('2001:db8::1/128'), ['2001:db8::/32'])
  assert.deepEqual(found('2001:db9::1/128'), [])
  for (const isExplained of [true, false])
    assert.deepEqual(
      rig.advertised({ prefix: '10.1.9.9/32', peer: 'b', isExplained }).map(({ prefix }) => prefix),
      ['10.1.0.0/16'],
    )
})

test('stale paths say by which RFC they are kept, and until when', () => {
  const rig = new RibRig(speakerConfig({ peers: [peerConfig('a')] }))
  const a = rig.up('a', { asn: 65_001, addr: '10.0.0.2' })
  rig.announce(a, ['10.1.0.0/24'])
  rig.settle()
  const stale = () => rig.paths({ prefix: '10.1.0.0/24' })[0]?.stale
  assert.equal(stale(), undefined)
  rig.down(a, { kind: 'restarting', families: [4, 6] })
  rig.rib.keepStale('a', 4, 5_000)
  rig.settle()
  assert.deepEqual(stale(), { kind: 'graceful', untilMs: 5_000 })
  rig.rib.sweepStale('a', 4, { toLongLived: true })
  rig.rib.keepStale('a', 4, 9_000)
  rig.settle()
  assert.deepEqual(stale(), { kind: 'long-lived', untilMs: 9_000 })
})
