import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type PeerConfig, type RoutePolicy, type SpeakerConfig } from '#/model/bgp.ts'
import { type SessionOptions, acceptEverything, peerConfig, RibRig, speakerConfig } from './testing/rib-rig.ts'

function rigOf(peers: readonly PeerConfig[], more: Partial<SpeakerConfig> = {}): RibRig {
  return new RibRig(speakerConfig({ peers, ...more }))
}

const own = [
  { prefix: Prefix.parse('10.9.0.0/24') },
  { prefix: Prefix.parse('2001:db8:9::/64'), communities: ['65000:9'] },
]

test('own routes: next hop self, own AS in front, to a peer of either kind', () => {
  const rig = rigOf([peerConfig('external'), peerConfig('internal')], { originated: own })
  const addrs = { localAddr: '10.0.0.1', localAddrs: ['2001:db8::1', 'fe80::1'] }
  const external = rig.up('external', { asn: 65_001, ...addrs })
  const internal = rig.up('internal', { asn: 65_000, addr: '10.0.0.3', ...addrs })
  rig.settle()
  assert.deepEqual(external.belief('10.9.0.0/24'), {
    nextHop: { addr: Addr.parse('10.0.0.1') },
    attributes: { origin: 0, asPath: [{ kind: 'sequence', asns: [65_000] }] },
  })
  assert.deepEqual(external.belief('2001:db8:9::/64'), {
    nextHop: { addr: Addr.parse('2001:db8::1') },
    attributes: { origin: 0, asPath: [{ kind: 'sequence', asns: [65_000] }], communities: [0xfde8_0009] },
  })
  assert.deepEqual(internal.belief('10.9.0.0/24')?.attributes, { origin: 0, asPath: [], localPreference: 100 })
  assert.deepEqual([...rig.routes], [], 'own routes are not for the kernel')
})

test('RFC 8212: without policies an external peer gives nothing and gets nothing', () => {
  const { importPolicy: _, exportPolicy: __, ...bare } = peerConfig('bare')
  const { importPolicy: ___, exportPolicy: ____, ...inside } = peerConfig('inside')
  const rig = rigOf([bare, inside], { originated: own })
  const session = rig.up('bare')
  const internal = rig.up('inside', { asn: 65_000, addr: '10.0.0.3' })
  rig.announce(session, ['10.1.0.0/24'])
  rig.announce(internal, ['10.2.0.0/24'])
  rig.settle()
  assert.deepEqual(session.prefixes, [])
  assert.deepEqual([...rig.routes.keys()], ['10.2.0.0/24'])
  assert.deepEqual(rig.reasons({ prefix: '10.1.0.0/24' }), ['bare: external peer without an import policy (RFC 8212)'])
  assert.deepEqual(rig.rib.counts('bare'), { received: 1, accepted: 0, advertised: 0 })
  // a policy needs no refresh
  rig.configure({ peers: [peerConfig('bare'), inside] })
  rig.settle()
  assert.deepEqual([...rig.routes.keys()].sort(), ['10.1.0.0/24', '10.2.0.0/24'])
  assert.equal(session.belief('10.9.0.0/24') !== undefined, true)
})

test('what a neighbour may bring follows its policy while the session is up, and what is refused says why', () => {
  const only = (...prefixes: string[]): PeerConfig =>
    peerConfig('node/node-2', {
      importPolicy: {
        rules: [{ match: { prefixes: prefixes.map((text) => ({ prefix: Prefix.parse(text) })) }, action: 'accept' }],
        otherwise: 'reject',
        otherwiseBecause: 'it is not its own',
      },
    })
  const rig = rigOf([only('10.1.0.0/24')])
  const session = rig.up('node/node-2')
  rig.announce(session, ['10.1.0.0/24', '10.2.0.0/24'])
  rig.settle()
  assert.deepEqual([...rig.routes.keys()], ['10.1.0.0/24'])
  assert.deepEqual(rig.reasons({ prefix: '10.2.0.0/24' }), ['node/node-2: import policy: it is not its own'])
  rig.configure({ peers: [only('10.2.0.0/24')] })
  rig.settle()
  assert.deepEqual([...rig.routes.keys()], ['10.2.0.0/24'])
  assert.deepEqual(rig.reasons({ prefix: '10.1.0.0/24' }), ['node/node-2: import policy: it is not its own'])
})

test('refused routes say why', () => {
  const rejecting: RoutePolicy = {
    rules: [{ name: 'theirs', match: { prefixes: [{ prefix: Prefix.parse('10.1.0.0/24') }] }, action: 'reject' }],
    otherwise: 'reject',
  }
  const rig = rigOf([peerConfig('a', { importPolicy: rejecting }), peerConfig('b')])
  const a = rig.up('a')
  const b = rig.up('b', { addr: '10.0.0.3', localAddrs: ['10.0.0.1', '10.0.0.77'] })
  rig.announce(a, ['10.1.0.0/24', '10.2.0.0/24'])
  rig.announce(b, ['10.3.0.0/24'], { path: [65_001, 65_000] })
  rig.announce(b, ['10.4.0.0/24'], { nextHop: '10.0.0.77' })
  rig.announce(b, ['10.5.0.0/24'], { nextHop: '224.0.0.1' })
  rig.announce(b, ['2001:db8::/64'], { nextHop: 'fe80::1' })
  rig.settle()
  assert.deepEqual(rig.reasons({}), [
    'a: import policy: rule "theirs" rejects it',
    'a: import policy: no rule matches, and others are rejected',
    'b: AS loop: own AS 65000 is 1 times in the path, 0 allowed',
    "b: next hop 10.0.0.77 is this node's own address",
    "b: next hop 224.0.0.1 is no host's address",
    'b: next hop fe80::1 is link-local, and the session is on no link',
  ])
  assert.deepEqual([...rig.routes], [])
  assert.deepEqual(rig.rib.counts('b'), { received: 4, accepted: 0, advertised: 0 })
})

test('the own AS as often as is allowed', () => {
  const rig = rigOf([peerConfig('a', { allowOwnAsn: 1 })])
  const a = rig.up('a')
  rig.announce(a, ['10.1.0.0/24'], { path: [65_001, 65_000] })
  rig.announce(a, ['10.2.0.0/24'], { path: [65_001, 65_000, 65_000] })
  rig.settle()
  assert.deepEqual([...rig.routes.keys()], ['10.1.0.0/24'])
})

test('external peers get no LOCAL_PREF and no MED but of their own policy; internal ones an unchanged next hop', () => {
  const rig = rigOf([
    peerConfig('from'),
    peerConfig('plain'),
    peerConfig('set', {
      exportPolicy: { rules: [{ match: {}, action: 'accept', set: { med: 3, prependTimes: 2 } }], otherwise: 'reject' },
    }),
    peerConfig('inside'),
    peerConfig('self', { nextHopSelf: true }),
  ])
  const from = rig.up('from', { addr: '10.0.0.2' })
  const plain = rig.up('plain', { asn: 65_002, addr: '10.0.0.3' })
  const set = rig.up('set', { asn: 65_002, addr: '10.0.0.4' })
  const inside = rig.up('inside', { asn: 65_000, addr: '10.0.0.5' })
  const self = rig.up('self', { asn: 65_000, addr: '10.0.0.6' })
  rig.announce(from, ['10.1.0.0/24'], { med: 77, localPreference: 200 })
  rig.settle()
  const sequence = (...asns: readonly number[]) => [{ kind: 'sequence', asns }]
  assert.deepEqual(plain.belief('10.1.0.0/24'), {
    nextHop: { addr: Addr.parse('10.0.0.1') },
    attributes: { origin: 0, asPath: sequence(65_000, 65_001) },
  })
  assert.deepEqual(set.belief('10.1.0.0/24')?.attributes, {
    origin: 0,
    asPath: sequence(65_000, 65_000, 65_000, 65_001),
    med: 3,
  })
  assert.deepEqual(inside.belief('10.1.0.0/24'), {
    nextHop: { addr: Addr.parse('10.0.0.2') },
    attributes: { origin: 0, asPath: sequence(65_001), med: 77, localPreference: 200 },
  })
  assert.equal(String(self.belief('10.1.0.0/24')?.nextHop.addr), '10.0.0.1')
})

test('NO_EXPORT, NO_EXPORT_SUBCONFED and NO_ADVERTISE', () => {
  const rig = rigOf([peerConfig('from'), peerConfig('outside'), peerConfig('inside')])
  const from = rig.up('from')
  const outside = rig.up('outside', { asn: 65_002, addr: '10.0.0.3' })
  const inside = rig.up('inside', { asn: 65_000, addr: '10.0.0.4' })
  rig.announce(from, ['10.1.0.0/24'], { communities: [0xffff_ff01] })
  rig.announce(from, ['10.2.0.0/24'], { communities: [0xffff_ff02] })
  rig.announce(from, ['10.3.0.0/24'], { communities: [0xffff_ff03] })
  rig.settle()
  assert.deepEqual(outside.prefixes, [])
  assert.deepEqual(inside.prefixes, ['10.1.0.0/24', '10.3.0.0/24'])
  assert.equal(rig.routes.size, 3)
})

test('IPv4 over an unnumbered session: link-local next hops, with the device for the kernel', () => {
  const overLink: SessionOptions = {
    addr: 'fe80::2',
    localAddr: 'fe80::1',
    localAddrs: ['fe80::1', '10.0.0.1'],
    device: 'eth1',
    extendedNextHop: true,
  }
  const rig = rigOf([peerConfig('tor'), peerConfig('inside')], { originated: own })
  const tor = rig.up('tor', overLink)
  const inside = rig.up('inside', { asn: 65_000, addr: '10.0.0.3' })
  rig.announce(tor, ['10.1.0.0/24'], { nextHop: 'fe80::2' })
  rig.announce(tor, ['10.2.0.0/24'], { nextHop: '2001:db8::2', linkLocal: 'fe80::2' })
  rig.settle()
  assert.deepEqual(tor.belief('10.9.0.0/24')?.nextHop, { addr: Addr.parse('fe80::1') })
  const viaLink = [{ addr: Addr.parse('fe80::2'), device: 'eth1' }]
  assert.deepEqual(rig.routes.get('10.1.0.0/24')?.nextHops, viaLink)
  assert.deepEqual(rig.routes.get('10.2.0.0/24')?.nextHops, viaLink)
  // on another link that address is nobody's
  assert.deepEqual(inside.belief('10.1.0.0/24')?.nextHop, { addr: Addr.parse('10.0.0.1') })
  assert.equal(inside.belief('10.2.0.0/24'), undefined, 'an IPv6 next hop that was not agreed on')
})

test('IPv6 over a link-local session: the global address and the link-local one', () => {
  const rig = rigOf([peerConfig('tor')], { originated: own })
  const tor = rig.up('tor', {
    addr: 'fe80::2',
    localAddr: 'fe80::1',
    localAddrs: ['fe80::1', '2001:db8::1'],
    device: 'eth1',
  })
  rig.settle()
  const nextHop = { addr: Addr.parse('2001:db8::1'), linkLocal: Addr.parse('fe80::1') }
  assert.deepEqual(tor.belief('2001:db8:9::/64')?.nextHop, nextHop)
  assert.equal(tor.belief('10.9.0.0/24'), undefined, 'no IPv4 next hop')
})

test('several equal paths, and what the kernel is told when one goes', () => {
  const rig = rigOf(
    ['a', 'b', 'c'].map((name) => peerConfig(name)),
    { maxPaths: 2 },
  )
  const [a, b, c] = ['a', 'b', 'c'].map((name, index) => rig.up(name, { addr: `10.0.0.${9 - index}` }))
  for (const session of [a!, b!, c!]) rig.announce(session, ['10.1.0.0/24'])
  rig.settle()
  const route = rig.routes.get('10.1.0.0/24')
  assert.deepEqual(
    route?.nextHops.map(({ addr }) => String(addr)),
    ['10.0.0.7', '10.0.0.8'],
  )
  assert.deepEqual(route?.peers, ['b', 'c'])
  assert.deepEqual(
    rig.paths({ prefix: '10.1.0.0/24' }).map(({ peer, isBest, isMultipath }) => [peer, isBest, isMultipath]),
    [
      ['c', true, true],
      ['a', false, false],
      ['b', false, true],
    ],
  )
  rig.down(c!)
  rig.settle()
  assert.deepEqual(rig.routes.get('10.1.0.0/24')?.peers, ['a', 'b'])
  rig.configure({ maxPaths: 1 })
  rig.settle()
  assert.deepEqual(rig.routes.get('10.1.0.0/24')?.peers, ['b'])
})

test('a rule that is a grant allows what must not come by chance', () => {
  const prefixes = [{ prefix: Prefix.parse('0.0.0.0/0') }]
  const importPolicy: RoutePolicy = {
    rules: [{ match: { prefixes }, action: 'accept', isGrant: true }],
    otherwise: 'accept',
  }
  const rig = rigOf([peerConfig('a', { importPolicy })])
  const a = rig.up('a')
  rig.announce(a, ['0.0.0.0/0', '10.1.0.0/24'])
  rig.settle()
  assert.deepEqual(
    [...rig.routes].map(([prefix, { isAllowed }]) => [prefix, isAllowed]),
    [
      ['0.0.0.0/0', true],
      ['10.1.0.0/24', false],
    ],
  )
})

test('a peer that is removed loses its stale routes', () => {
  const rig = rigOf([peerConfig('a')])
  const a = rig.up('a')
  rig.announce(a, ['10.1.0.0/24'])
  rig.down(a, { kind: 'restarting', families: [4] })
  rig.settle()
  assert.equal(rig.routes.size, 1)
  rig.configure({ peers: [] })
  rig.settle()
  assert.equal(rig.routes.size, 0)
  assert.deepEqual(rig.paths(), [])
})

test('attributes that fit into no message are withdrawn, and only they', () => {
  const communities = Array.from({ length: 1008 }, (_, index) => 0xfde8_0000 + index)
  const rig = rigOf([
    peerConfig('from'),
    peerConfig('to', {
      exportPolicy: { rules: [{ match: {}, action: 'accept', set: { prependTimes: 9 } }], otherwise: 'reject' },
    }),
  ])
  const from = rig.up('from')
  const to = rig.up('to', { asn: 65_002, addr: '10.0.0.3' })
  rig.announce(from, ['10.1.0.0/24', '10.2.0.0/24'])
  rig.settle()
  rig.announce(from, ['10.1.0.0/24'], { communities })
  rig.settle()
  assert.deepEqual(to.prefixes, ['10.2.0.0/24'])
})

test('what is advertised, as text', () => {
  const rig = rigOf([peerConfig('a'), peerConfig('b', { importPolicy: acceptEverything })], {
    originated: own.slice(0, 1),
  })
  const a = rig.up('a')
  rig.up('b', { asn: 65_002, addr: '10.0.0.3' })
  rig.announce(a, ['10.1.0.0/24'], { communities: [0xfde8_0001], largeCommunities: [[65_000, 1, 2]] })
  rig.settle()
  assert.deepEqual(rig.advertised({ peer: 'b' }), [
    { prefix: '10.9.0.0/24', peer: 'b', nextHop: '10.0.0.1', asPath: '65000', communities: [] },
    {
      prefix: '10.1.0.0/24',
      peer: 'b',
      nextHop: '10.0.0.1',
      asPath: '65000 65001',
      communities: ['65000:1', '65000:1:2'],
    },
  ])
  assert.equal(rig.advertised({ peer: 'a' }).length, 1)
  assert.deepEqual(rig.advertised({ peer: 'nobody' }), [])
  assert.deepEqual(rig.paths({ peer: 'a' }), [
    {
      prefix: '10.1.0.0/24',
      peer: 'a',
      nextHops: ['10.0.0.2'],
      asPath: '65001',
      origin: 'igp',
      communities: ['65000:1', '65000:1:2'],
      isBest: true,
      isMultipath: true,
      isStale: false,
      reason: 'the only path',
      isRefused: false,
    },
  ])
  assert.deepEqual(
    rig.paths({ prefix: '10.9.0.0/24' }).map(({ peer, nextHops }) => [peer, nextHops]),
    [['(own)', ['self']]],
  )
  assert.deepEqual(rig.paths({ prefix: 'none' }), [])
})
