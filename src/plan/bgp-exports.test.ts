import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configurationOf, member, members, ownOnly, peer, peerIn, plain, planFor } from './testing/bgp-scene.ts'
import { type BgpMember } from './bgp-member.ts'

function exported(nodes: readonly BgpMember[], to: string, given: Parameters<typeof planFor>[2] = {}): unknown {
  const { exportPolicy } = peerIn(planFor(nodes[0]!, nodes, given), to)
  return exportPolicy && plain(exportPolicy)
}

const nameOf = (policy: unknown): unknown => (policy as { rules: { name: string }[] } | undefined)?.rules[0]?.name

test('a node tells others of the mesh what they take of it: its own pod CIDRs', () => {
  assert.deepEqual(exported(members(3), 'node/node-2'), ownOnly)
})

test('a reflector tells what is in the cluster, a client what is its own', () => {
  const configuration = configurationOf({ reflectors: { nodeSelector: { matchLabels: { rr: '' } } } })
  const nodes = [member(1, { rr: '' }), member(2), member(3, { rr: '' })]
  assert.equal(nameOf(exported(nodes, 'node/node-2', { configuration })), 'cluster-cidrs')
  assert.equal(nameOf(exported(nodes, 'node/node-3', { configuration })), 'cluster-cidrs')
  const [one, two, three] = nodes
  assert.equal(nameOf(exported([two!, one!, three!], 'node/node-1', { configuration })), 'own-pod-cidrs')
})

test('a node that has an import policy for this one is told everything', () => {
  const nodes = [member(1), member(2, { rack: 'a' }), member(3)]
  const from1 = peer('from-1', {
    peerAddress: '172.30.0.1',
    peerASN: 64_512,
    nodeSelector: { matchLabels: { rack: 'a' } },
    importPolicy: { otherwise: 'Accept' },
  })
  assert.equal(exported(nodes, 'node/node-2', { peers: [from1] }), undefined)
  assert.deepEqual(exported(nodes, 'node/node-3', { peers: [from1] }), ownOnly, 'it does not select this one')
})

test('a BGPPeer without an export policy that names a node of the own AS tells it the same, a router everything', () => {
  const nodes = members(2)
  const two = peer('two', { peerAddress: '172.30.0.2', peerASN: 64_512 })
  const router = peer('router', { peerAddress: '172.30.9.9', peerASN: 64_512 })
  const peers = [two, router]
  assert.deepEqual(exported(nodes, 'two', { peers }), ownOnly)
  assert.equal(exported(nodes, 'router', { peers }), undefined)
  const client = peer('client', { peerAddress: '172.30.0.2', peerASN: 64_512, reflectorClient: true })
  assert.equal(nameOf(exported(nodes, 'client', { peers: [client] })), 'cluster-cidrs')
})
