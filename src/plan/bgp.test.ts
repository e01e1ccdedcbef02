import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr, Prefix } from '#/lib/addr.ts'
import {
  configOf,
  configurationOf,
  member,
  members,
  messages,
  names,
  onlyOf,
  ownOnly,
  peer,
  peerIn,
  plain,
  planFor,
} from './testing/bgp-scene.ts'

test('without a configuration a node speaks only where a BGPPeer selects it', () => {
  const nodes = members(3)
  const silent = planFor(nodes[0]!, nodes, { configuration: undefined })
  assert.deepEqual(silent, { role: 'none', wantedSecrets: [], problems: [] })
  const tor = peer('tor', { peerAddress: '192.0.2.1', peerASN: 65_001, nodeSelector: { matchLabels: { rack: '1' } } })
  assert.equal(planFor(nodes[0]!, nodes, { configuration: undefined, peers: [tor] }).config, undefined)
  const selected = planFor({ ...nodes[0]!, labels: { rack: '1' } }, nodes, { configuration: undefined, peers: [tor] })
  assert.deepEqual(names(selected), ['tor'])
  assert.equal(selected.role, 'none')
})

test('in a mesh each node peers with each, over the family that the cluster CIDRs begin with', () => {
  const nodes = members(3)
  const plan = planFor(nodes[0]!, nodes)
  assert.equal(plan.role, 'mesh')
  assert.deepEqual(plan.problems, [])
  const { peers, ...speaker } = configOf(plan)
  assert.deepEqual(plain(speaker), {
    routerId: '172.30.0.1',
    asn: 64_512,
    listenPort: 179,
    maxPaths: 8,
    multipathRelax: true,
    isRestarting: false,
    localAddrs: ['172.30.0.1', 'fd00:172::1'],
    originated: [{ prefix: '10.244.1.0/24' }, { prefix: 'fd10:244:0:1::/64' }],
  })
  assert.equal(peers.length, 2)
  assert.deepEqual(plain(peers[0]), {
    name: 'node/node-2',
    addr: '172.30.0.2',
    localAddr: '172.30.0.1',
    port: 179,
    localAsn: 64_512,
    remoteAsn: 64_512,
    families: [4, 6],
    mode: 'both',
    timers: { holdTimeSeconds: 90, keepaliveSeconds: 30, connectRetrySeconds: 5 },
    gracefulRestart: { restartTimeSeconds: 120, stalePathTimeSeconds: 360 },
    importPolicy: onlyOf(2),
    isReflectorClient: false,
    isNode: true,
    nextHopSelf: false,
    allowOwnAsn: 0,
    exportPolicy: ownOnly,
    maxPrefixes: { count: 10_000, receivedCount: 1_000_000, warningPercent: 75, restartSeconds: 60 },
  })
  const v6First = [Prefix.parse('fd10:244::/48'), Prefix.parse('10.244.0.0/16')]
  const over6 = planFor(nodes[0]!, nodes, { clusterCIDRs: v6First })
  assert.deepEqual(
    configOf(over6).peers.map(({ addr }) => String(addr)),
    ['fd00:172::2', 'fd00:172::3'],
  )
})

test('both ends of every session of a mesh name the same two addresses', () => {
  const nodes = [
    member(1),
    { ...member(2), addrs: [Addr.parse('fd00:172::2')] },
    { ...member(3), addrs: [Addr.parse('172.30.0.3')] },
    member(4),
  ]
  const ends = nodes.flatMap((node) =>
    configOf(planFor(node, nodes)).peers.map(({ addr, localAddr }) => `${localAddr} ${addr}`),
  )
  // nodes 2 and 3 have no family in common
  assert.equal(ends.length, 10)
  for (const end of ends) assert.ok(ends.includes(end.split(' ').toReversed().join(' ')), end)
  assert.deepEqual(
    peerIn(planFor(nodes[2]!, nodes), 'node/node-1').families,
    [4],
    'there is no next hop of the other family',
  )
})

test('nodes without pod CIDRs or addresses are no neighbours, and CIDRs beside the cluster CIDRs are taken', () => {
  const odd = { ...member(4), podCIDRs: [Prefix.parse('192.168.7.0/24')] }
  const nodes = [member(1), { ...member(2), podCIDRs: [] }, { ...member(3), addrs: [] }, odd]
  const plan = planFor(nodes[0]!, nodes)
  assert.deepEqual(names(plan), ['node/node-4'])
  const prefixes = peerIn(plan, 'node/node-4').importPolicy?.rules[0]?.match.prefixes
  assert.deepEqual(
    prefixes?.map(({ prefix }) => String(prefix)),
    ['192.168.7.0/24'],
  )
})

test('above a size nodes are clients of reflectors, which mesh', () => {
  const nodes = members(12)
  const configuration = configurationOf({ reflectors: { above: 10 } })
  const plans = nodes.map((node) => planFor(node, nodes, { configuration }))
  const reflectors = plans.filter(({ role }) => role === 'reflector')
  assert.equal(reflectors.length, 3)
  assert.equal(plans.filter(({ role }) => role === 'client').length, 9)
  for (const plan of reflectors) {
    const { peers } = configOf(plan)
    assert.equal(peers.length, 11)
    assert.deepEqual(
      peers.filter(({ isReflectorClient }) => isReflectorClient).map(({ mode }) => mode),
      Array(9).fill('passive'),
    )
    assert.deepEqual(
      peers.filter(({ isReflectorClient }) => !isReflectorClient).map(({ mode }) => mode),
      ['both', 'both'],
    )
  }
  for (const plan of plans.filter(({ role }) => role === 'client')) {
    const { peers } = configOf(plan)
    assert.deepEqual(
      peers.map(({ mode, isReflectorClient }) => [mode, isReflectorClient]),
      [1, 2, 3].map(() => ['active', false]),
    )
    assert.ok(
      peers.every(({ maxPrefixes }) => maxPrefixes!.count > 100_000),
      'a reflector has all of a large cluster',
    )
  }
})

test('reflectors by label; a label that no node has is told', () => {
  const nodes = members(4, (n) => (n === 3 ? { rr: '' } : {}))
  const configuration = configurationOf({ reflectors: { nodeSelector: { matchLabels: { rr: '' } } } })
  assert.deepEqual(names(planFor(nodes[0]!, nodes, { configuration })), ['node/node-3'])
  assert.equal(planFor(nodes[2]!, nodes, { configuration }).role, 'reflector')
  const none = configurationOf({ reflectors: { nodeSelector: { matchLabels: { rs: '' } } } })
  const plan = planFor(nodes[0]!, nodes, { configuration: none })
  assert.equal(plan.role, 'mesh')
  assert.match(
    messages(plan).join(),
    /bgpconfiguration\/default: spec\.reflectors\.nodeSelector: it selects no node of this AS/,
  )
  const full = configurationOf({ nodeMesh: 'Full', reflectors: { nodeSelector: { matchLabels: { rr: '' } } } })
  assert.equal(names(planFor(nodes[0]!, nodes, { configuration: full })).length, 3)
  assert.match(
    messages(planFor(nodes[0]!, nodes, { configuration: full })).join(),
    /with spec\.nodeMesh Full there are no reflectors/,
  )
})

test('racks of their own AS: eBGP between them, and no node passes on what is not its own', () => {
  const nodes = members(4, (n) => ({ rack: String(n % 2) }))
  const configuration = configurationOf({
    localASNs: [
      { nodeSelector: { matchLabels: { rack: '1' } }, asn: 65_101 },
      { nodeSelector: { matchExpressions: [{ key: 'rack', operator: 'Exists' }] }, asn: 65_100 },
    ],
  })
  const plan = planFor(nodes[0]!, nodes, { configuration })
  assert.equal(configOf(plan).asn, 65_101)
  const inside = peerIn(plan, 'node/node-3')
  assert.deepEqual(
    [inside.localAsn, inside.remoteAsn, inside.multihopTtl, plain(inside.exportPolicy)],
    [65_101, 65_101, undefined, ownOnly],
  )
  const outside = peerIn(plan, 'node/node-2')
  assert.deepEqual([outside.localAsn, outside.remoteAsn, outside.multihopTtl], [65_101, 65_100, 64])
  assert.deepEqual(plain(outside.exportPolicy), ownOnly)
  assert.deepEqual(plain(outside.importPolicy), onlyOf(2))
})

test('reflectors are of each AS for itself', () => {
  const nodes = members(8, (n) => ({ rack: String(n % 2) }))
  const configuration = configurationOf({
    localASNs: [{ nodeSelector: { matchLabels: { rack: '1' } }, asn: 65_101 }],
    reflectors: { above: 3, count: 1 },
  })
  const plans = nodes.map((node) => planFor(node, nodes, { configuration }))
  assert.equal(plans.filter(({ role }) => role === 'reflector').length, 2)
  const client = plans.find(({ role }) => role === 'client')!
  assert.equal(configOf(client).peers.length, 5, 'four of the other AS, one reflector')
})

test('the password of the mesh is for all nodes of it, and for no router', () => {
  const nodes = members(3)
  const configuration = configurationOf({ meshPasswordSecretRef: { name: 's', namespace: 'n' } })
  const peers = [peer('tor', { peerAddress: '192.0.2.1', peerASN: 1 })]
  const blocked = planFor(nodes[0]!, nodes, { configuration, peers })
  assert.ok(
    blocked.config?.peers.filter(({ blockedBecause }) => blockedBecause).every(({ name }) => name.startsWith('node/')),
  )
  assert.deepEqual(
    blocked.wantedSecrets.map(({ namespace, name }) => `${namespace}/${name}`),
    ['n/s'],
  )
  const secrets = new Map([['n/s', { kind: 'found', data: { password: 'p' } } as const]])
  const plan = planFor(nodes[0]!, nodes, { configuration, peers, secrets })
  assert.deepEqual(
    configOf(plan).peers.map(({ name, password }) => [name, password]),
    [
      ['node/node-2', 'p'],
      ['node/node-3', 'p'],
      ['tor', undefined],
    ],
  )
  const unreadable = configurationOf({ meshPasswordSecretRef: {} })
  assert.match(
    peerIn(planFor(nodes[0]!, nodes, { configuration: unreadable }), 'node/node-2').blockedBecause ?? '',
    /names no Secret/,
  )
})

test('a drained node advertises nothing and learns on', () => {
  const nodes = members(2)
  const plan = planFor(nodes[0]!, nodes, { bgpNode: { isDrained: true } })
  assert.deepEqual(configOf(plan).originated, [])
  const { importPolicy, exportPolicy } = peerIn(plan, 'node/node-2')
  const because = 'this node is drained: spec.drained of its BGPNode is true'
  assert.deepEqual(exportPolicy, { rules: [], otherwise: 'reject', otherwiseBecause: because })
  assert.deepEqual(plain(importPolicy), onlyOf(2))
  assert.deepEqual(plain(configOf(plan).untold), [
    { prefix: '10.244.1.0/24', because },
    { prefix: 'fd10:244:0:1::/64', because },
  ])
  assert.equal(plan.drainedBecause, because)
  assert.deepEqual(
    plan.problems.map(({ code, object }) => `${code} ${object}`),
    ['CW4108 bgpnode/node-1'],
  )
})

test('what a node does not tell of its own has a reason: its Node object is gone, another has the better claim', () => {
  const nodes = members(2)
  const gone = planFor(nodes[0]!, nodes, { isGone: true })
  assert.deepEqual([configOf(gone).originated, gone.drainedBecause], [[], 'the Node object of this node was deleted'])
  const lost = planFor(nodes[0]!, nodes, {
    lost: [{ prefix: Prefix.parse('10.244.9.0/24'), because: 'node node-9 has the better claim to it' }],
  })
  assert.equal(configOf(lost).originated.length, 2)
  assert.deepEqual(plain(configOf(lost).untold), [
    { prefix: '10.244.9.0/24', because: 'node node-9 has the better claim to it' },
  ])
})

test('a node that has an AS or a router id of its own has it towards BGPPeers; the mesh has what all nodes know', () => {
  const nodes = members(2)
  const peers = [peer('tor', { peerAddress: '192.0.2.1', peerASN: 64_512 })]
  const plan = planFor(nodes[0]!, nodes, {
    peers,
    bgpNode: { asn: 65_009, routerId: Addr.parse('1.2.3.4'), isDrained: false },
  })
  assert.deepEqual([configOf(plan).asn, String(configOf(plan).routerId)], [65_009, '1.2.3.4'])
  assert.equal(peerIn(plan, 'tor').localAsn, 65_009)
  assert.equal(peerIn(plan, 'node/node-2').localAsn, 64_512)
})

test('without IPv4 addresses router ids are hashes of names, and twins are told', () => {
  const only6 = (n: number) => ({ ...member(n), addrs: [Addr.parse(`fd00:172::${n}`)] })
  const first = configOf(planFor(only6(1), [])).routerId
  assert.equal(first.family, 4)
  assert.ok(!first.isUnspecified && !first.equals(configOf(planFor(only6(2), [])).routerId))
  assert.ok(first.equals(configOf(planFor(only6(1), [member(2)])).routerId), 'always the same')
  const twin = { ...member(3), addrs: [first] }
  assert.match(
    messages(planFor(only6(1), [twin])).join(),
    new RegExp(`node/node-1: router id ${first} is also that of node node-3`),
  )
})

test('the limit of the mesh is of what is taken, and can be set', () => {
  const nodes = members(2)
  const limitWith = (meshMaxPrefixes: object) =>
    peerIn(planFor(nodes[0]!, nodes, { configuration: configurationOf({ meshMaxPrefixes }) }), 'node/node-2')
      .maxPrefixes
  assert.deepEqual(limitWith({}), { count: 10_000, receivedCount: 1_000_000, warningPercent: 75, restartSeconds: 60 })
  assert.deepEqual(limitWith({ count: 50, warningPercent: 50, restartSeconds: 9 }), {
    count: 50,
    receivedCount: 1_000_000,
    warningPercent: 50,
    restartSeconds: 9,
  })
  assert.equal(limitWith({ count: 5_000_000 })?.receivedCount, 5_000_000)
})
