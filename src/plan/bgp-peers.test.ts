import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import {
  clusterOnly,
  configOf,
  configurationOf,
  member,
  members,
  messages,
  names,
  ownOnly,
  peer,
  peerIn,
  plain,
  planFor,
} from './testing/bgp-scene.ts'

test('a router of another AS gets the own pod CIDRs, and gives what is in the cluster CIDRs', () => {
  const tor = peer('tor', {
    peerAddress: '172.30.0.254',
    peerASN: 65_001,
    ttlSecurityHops: 1,
    timers: { holdTimeSeconds: 9 },
  })
  const plan = planFor(member(1), [], {
    configuration: configurationOf({
      nodeMesh: 'None',
      communities: ['64512:7'],
      bfd: { enabled: true, intervalMs: 100 },
    }),
    peers: [tor],
  })
  assert.equal(plan.role, 'none')
  assert.deepEqual(plain(peerIn(plan, 'tor')), {
    name: 'tor',
    addr: '172.30.0.254',
    port: 179,
    localAsn: 64_512,
    remoteAsn: 65_001,
    families: [4, 6],
    mode: 'both',
    timers: { holdTimeSeconds: 9, keepaliveSeconds: 3, connectRetrySeconds: 5 },
    gracefulRestart: { restartTimeSeconds: 120, stalePathTimeSeconds: 360 },
    bfd: { intervalMs: 100, detectMultiplier: 3 },
    ttlSecurityHops: 1,
    maxPrefixes: { count: 100_000, warningPercent: 75, restartSeconds: 300 },
    importPolicy: clusterOnly,
    exportPolicy: ownOnly,
    isReflectorClient: false,
    nextHopSelf: false,
    allowOwnAsn: 0,
  })
  assert.deepEqual(configOf(plan).originated[0]?.communities, ['64512:7'])
})

test('a router of the own AS gives what is in the cluster CIDRs, and gets what BGP gives', () => {
  const plan = planFor(member(1), [], { peers: [peer('rr', { peerAddress: '172.30.0.254', peerASN: 64_512 })] })
  const { importPolicy, exportPolicy } = peerIn(plan, 'rr')
  assert.deepEqual(plain(importPolicy), clusterOnly)
  assert.equal(exportPolicy, undefined)
  const asOther = planFor(member(1), [], {
    peers: [peer('rr', { peerAddress: '172.30.0.254', peerASN: 64_512, localASN: 65_001 })],
  })
  assert.deepEqual(plain(peerIn(asOther, 'rr').exportPolicy), ownOnly, 'by its local AS it is another one')
})

test('a policy names prefixes as a grant; what a set stands for is filled in', () => {
  const border = peer('border', {
    peerAddress: '192.0.2.1',
    peerASN: 65_001,
    importPolicy: {
      rules: [
        { match: { prefixes: [{ cidr: '10.66.0.0/16' }], cidrSet: 'ClusterCIDRs' }, action: 'Reject' },
        { match: { prefixes: [{ cidr: '0.0.0.0/0' }] }, set: { localPreference: 5 } },
        { match: { communities: ['65001:1'] } },
      ],
    },
    exportPolicy: {
      rules: [{ name: 'mine', match: { cidrSet: 'OwnPodCIDRs' }, set: { prependTimes: 2 } }],
      otherwise: 'Accept',
    },
  })
  const { importPolicy, exportPolicy } = peerIn(planFor(member(1), [], { peers: [border] }), 'border')
  assert.deepEqual(plain(importPolicy), {
    rules: [
      { match: clusterOnly.rules[0]!.match, action: 'reject' },
      { match: { prefixes: [{ prefix: '10.66.0.0/16' }] }, action: 'reject' },
      { match: { prefixes: [{ prefix: '0.0.0.0/0' }] }, action: 'accept', set: { localPreference: 5 }, isGrant: true },
      { match: { communities: ['65001:1'] }, action: 'accept' },
    ],
    otherwise: 'reject',
  })
  assert.deepEqual(plain(exportPolicy), {
    rules: [{ ...ownOnly.rules[0], name: 'mine', set: { prependTimes: 2 } }],
    otherwise: 'accept',
  })
})

test('an unnumbered neighbour has both families whatever addresses the node has', () => {
  const node = { ...member(1), addrs: [Addr.parse('172.30.0.1')] }
  const peers = [
    peer('up', { device: 'eth1', peerASN: 'external' }),
    peer('far', { peerAddress: '192.0.2.1', peerASN: 1 }),
  ]
  const plan = planFor(node, [], { peers })
  const up = peerIn(plan, 'up')
  assert.deepEqual([up.addr, up.device, up.remoteAsn, up.families], [undefined, 'eth1', 'external', [4, 6]])
  assert.deepEqual(plain(up.exportPolicy), ownOnly)
  assert.deepEqual(peerIn(plan, 'far').families, [4])
  const only6 = planFor(node, [], {
    peers: [peer('far', { peerAddress: '192.0.2.1', peerASN: 1, families: ['IPv6'] })],
  })
  assert.match(peerIn(only6, 'far').blockedBecause ?? '', /this node has none of them/)
  const both = planFor(node, [], {
    peers: [peer('far', { peerAddress: '192.0.2.1', peerASN: 1, families: ['IPv4', 'IPv6'] })],
  })
  assert.deepEqual(
    both.problems.map(({ object, message }) => ({ object, message })),
    [
      {
        object: 'bgppeer/far',
        message: 'spec.families: IPv6 is left out: this node has no IPv6 address to be its next hop',
      },
    ],
  )
})

test('IPv4 crosses an underlay of IPv6 alone: its next hops are IPv6 then (RFC 8950)', () => {
  const nodes = [1, 2].map((number) => ({ ...member(number), addrs: [Addr.parse(`fd30::${number}`)] }))
  const peers = [peer('tor', { peerAddress: 'fd30::ff', peerASN: 1 })]
  const plan = planFor(nodes[0]!, nodes, { peers })
  for (const name of ['tor', 'node/node-2']) assert.deepEqual(peerIn(plan, name).families, [4, 6])
  assert.deepEqual(plan.problems, [])
})

test('a password that is missing, empty or too long keeps the session down, and is told once it is known', () => {
  const tor = peer('tor', { peerAddress: '192.0.2.1', peerASN: 1, passwordSecretRef: { name: 's', key: 'k' } })
  const planWith = (data?: Record<string, string>) =>
    planFor(member(1), [], {
      peers: [tor],
      secrets: new Map(data && [['causeway-system/s', { kind: 'found', data }]]),
    })
  const unread = planWith()
  assert.deepEqual(
    unread.wantedSecrets.map(({ name }) => name),
    ['s'],
  )
  assert.match(peerIn(unread, 'tor').blockedBecause ?? '', /has not been read yet/)
  assert.deepEqual(unread.problems, [])
  assert.equal(peerIn(planWith({ k: 'secret\n' }), 'tor').password, 'secret')
  const cases: [Record<string, string>, RegExp][] = [
    [{}, /Secret causeway-system\/s has no text under the key "k"/],
    [{ k: '' }, /is empty/],
    [{ k: '\n' }, /is empty/],
    [{ k: 'ä'.repeat(41) }, /has 82 bytes; TCP takes 80/],
  ]
  for (const [data, words] of cases) {
    const plan = planWith(data)
    const { password, blockedBecause } = peerIn(plan, 'tor')
    assert.equal(password, undefined)
    assert.match(blockedBecause ?? '', words)
    assert.match(messages(plan).join(), /^bgppeer\/tor: Secret/)
    assert.ok(!messages(plan).join().includes('ä'), 'no password is told')
  }
  const gone = planFor(member(1), [], {
    peers: [tor],
    secrets: new Map([['causeway-system/s', { kind: 'missing', why: 'there is none of this name' }]]),
  })
  assert.match(peerIn(gone, 'tor').blockedBecause ?? '', /there is none of this name/)
})

test('of BGPPeers with one neighbour the first counts; one with a node replaces the mesh, one with oneself is none', () => {
  const nodes = members(3)
  const peers = [
    peer('b', { peerAddress: '192.0.2.1', peerASN: 1 }),
    peer('a', { peerAddress: '192.0.2.1', peerASN: 2 }),
    peer('c', { peerAddress: '172.30.0.2', peerASN: 64_512 }),
    peer('d', { peerAddress: '172.30.0.1', peerASN: 64_512 }),
    peer('e', { device: 'eth1', peerASN: 1 }),
    peer('f', { device: 'eth1', peerASN: 2 }),
    peer('g', { device: 'eth1', peerAddress: 'fe80::1', peerASN: 2 }),
  ]
  const plan = planFor(nodes[0]!, nodes, { peers })
  assert.deepEqual(names(plan), ['node/node-3', 'a', 'c', 'e', 'g'])
  assert.deepEqual(messages(plan), [
    'bgppeer/b: BGPPeer a is with the same neighbour on node node-1: that one is taken',
    'bgppeer/f: BGPPeer e is with the same neighbour on node node-1: that one is taken',
  ])
})

test('what contradicts itself is told', () => {
  const nodes = members(2)
  const peers = [peer('tor', { peerAddress: '192.0.2.1', peerASN: 1, mode: 'passive', reflectorClient: true })]
  const plan = planFor(nodes[0]!, nodes, { configuration: configurationOf({ listenPort: 0 }), peers })
  assert.deepEqual([plan.role, names(plan), configOf(plan).listenPort], ['none', ['tor'], undefined])
  assert.equal(peerIn(plan, 'tor').isReflectorClient, false)
  const told = messages(plan).join('\n')
  for (const words of [
    /spec\.listenPort 0 nodes cannot connect/,
    /spec\.reflectorClient: a client is of/,
    /spec\.mode: it waits/,
  ])
    assert.match(told, words)
})
