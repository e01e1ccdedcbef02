// What a node may bring another one: nobody but a route reflector tells of other nodes' pods.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Prefix } from '#/lib/addr.ts'
import { type PeerConfig } from '#/model/bgp.ts'
import { type BgpMember } from './bgp-member.ts'
import {
  clusterOnly,
  configOf,
  configurationOf,
  member,
  members,
  peer,
  peerIn,
  plain,
  planFor,
  onlyOf,
} from './testing/bgp-scene.ts'

function takes({ importPolicy }: PeerConfig, text: string): boolean {
  const prefix = Prefix.parse(text)
  const listed = importPolicy!.rules.flatMap(({ match }) => match.prefixes ?? [])
  return listed.some(
    ({ prefix: around, minLength = around.length, maxLength = around.length }) =>
      around.contains(prefix) && prefix.length >= minLength && prefix.length <= maxLength,
  )
}

test('of a node its own pod CIDRs are taken, of both families, and no other, no part and nothing around', () => {
  const nodes = members(3)
  const from2 = peerIn(planFor(nodes[0]!, nodes), 'node/node-2')
  for (const own of ['10.244.2.0/24', 'fd10:244:0:2::/64']) assert.ok(takes(from2, own), own)
  const others = [
    '10.244.3.0/24',
    'fd10:244:0:3::/64',
    '10.244.0.0/16',
    '10.244.2.0/25',
    '10.244.3.7/32',
    'fd10:244::/48',
    '0.0.0.0/0',
  ]
  for (const other of others) assert.equal(takes(from2, other), false, other)
})

test('a pod CIDR that another node has the better claim to is not taken from the one that lost it', () => {
  const thief = {
    ...member(3),
    podCIDRs: [...member(3).podCIDRs, Prefix.parse('10.244.2.0/24'), Prefix.parse('192.168.7.0/24')],
  }
  const nodes = [member(1), member(2), thief]
  const plan = planFor(nodes[0]!, nodes)
  assert.ok(takes(peerIn(plan, 'node/node-2'), '10.244.2.0/24'))
  assert.equal(takes(peerIn(plan, 'node/node-3'), '10.244.2.0/24'), false)
  assert.ok(takes(peerIn(plan, 'node/node-3'), '192.168.7.0/24'), 'an extra one that nobody else claims')
})

test('clients take from reflectors, and reflectors from each other, what is of the cluster; reflectors of a client what is its own', () => {
  const nodes = members(4, (n) => (n > 2 ? { rr: '' } : {}))
  const configuration = configurationOf({ reflectors: { nodeSelector: { matchLabels: { rr: '' } } } })
  const client = planFor(nodes[0]!, nodes, { configuration })
  const reflector = planFor(nodes[2]!, nodes, { configuration })
  assert.deepEqual(plain(peerIn(client, 'node/node-3').importPolicy), clusterOnly)
  assert.deepEqual(plain(peerIn(reflector, 'node/node-4').importPolicy), clusterOnly)
  assert.deepEqual(plain(peerIn(reflector, 'node/node-1').importPolicy), onlyOf(1))
})

test('a BGPPeer with a node is held to the same, unless it has an import policy or makes a reflector of that node', () => {
  const nodes = [member(1), { ...member(2), isTunnelOnly: true }, member(3)]
  const to2 = { peerAddress: '172.30.0.2', peerASN: 64_512 }
  const importOf = (...peers: ReturnType<typeof peer>[]): unknown =>
    plain(peerIn(planFor(nodes[0]!, nodes, { peers }), 'two').importPolicy)
  assert.deepEqual(importOf(peer('two', to2)), onlyOf(2))
  const clients = peer('clients', { peerAddress: '172.30.0.1', peerASN: 64_512, reflectorClient: true })
  assert.deepEqual(importOf(peer('two', to2), clients), clusterOnly)
  const policy = { rules: [{ match: { cidrSet: 'ClusterCIDRs' } }] }
  assert.notDeepEqual(importOf(peer('two', { ...to2, importPolicy: policy })), onlyOf(2))
})

test('whatever nodes claim, no prefix is taken from two nodes of a mesh', () => {
  const cidr = fc
    .tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 22, max: 26 }))
    .map(([third, length]) => Prefix.parse(`10.244.${length < 24 ? 0 : third}.0/${length}`))
  const cluster = fc
    .array(fc.array(cidr, { minLength: 1, maxLength: 3 }), { minLength: 2, maxLength: 6 })
    .map((lists) => lists.map((podCIDRs, index): BgpMember => ({ ...member(index + 2), podCIDRs })))
  fc.assert(
    fc.property(cluster, (nodes) => {
      const { peers } = configOf(planFor(member(1), nodes))
      for (const text of nodes.flatMap(({ podCIDRs }) => podCIDRs.map(String)))
        assert.ok(peers.filter((each) => takes(each, text)).length <= 1, text)
    }),
  )
})
