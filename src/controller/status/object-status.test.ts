import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { type BgpPeer, bgpPeerOf } from '#/model/bgp-objects.ts'
import { type KubeNode, type KubeObject } from '#/model/kubernetes.ts'
import { acceptance, type PeerContext, peerTold, rivalProblems, statusOf } from './object-status.ts'
import { keepSessions, sessionsOf, statusNodeOf } from './status-node.ts'
import { nodeOf, objectOf } from './testing.ts'

function peerOf(name: string, spec: object = { peerAddress: '192.0.2.1', peerASN: 65_001 }): BgpPeer {
  const { peer } = bgpPeerOf(objectOf(name, spec), '')
  assert.ok(peer)
  return peer
}

/** The conditions of a BGPPeer, without what is the same in all. */
function told(peer: BgpPeer, context: Partial<PeerContext>): string {
  const { nodes, conditions } = peerTold(peer, [], { nodes: [], peers: [peer], session: () => undefined, ...context })
  assert.equal(conditions[0]!.status, 'True')
  const { type, status, reason, message } = conditions[1]!
  return `${JSON.stringify(Object.values(nodes ?? {}))} ${type}=${status} ${reason}: ${message}`
}

test('a BGPPeer says on how many nodes its session is established, and on which it is not', () => {
  const states = new Map([
    ['n1', { peer: 'tor', state: 'Established' }],
    ['n2', { peer: 'tor', state: 'Active', lastError: 'connection refused' }],
    ['n3', { peer: 'tor', state: 'Established' }],
  ])
  const session = (node: string) => states.get(node)
  const nodes = [nodeOf('n1'), nodeOf('n2'), nodeOf('n3', { isSilent: true }), nodeOf('n4')]
  assert.equal(
    told(peerOf('tor'), { nodes, session }),
    '[4,1] Established=False SessionsDown: established on 1 of 4 nodes; not on n2 (Active: connection refused), n3 (its kubelet tells nothing), n4 (its agent has told of no session)',
  )
  assert.equal(
    told(peerOf('tor'), { nodes: [nodeOf('n1')], session }),
    '[1,1] Established=True AllEstablished: established on 1 node',
  )
  // another reason than a session that is down: what is told first is news, and written at once
  assert.match(
    told(peerOf('tor'), { nodes: [nodeOf('n4'), nodeOf('n5')], session }),
    /SessionsNotTold: established on 0 of 2/,
  )
})

test('of many nodes that are down five are named', () => {
  const nodes = Array.from({ length: 5_000 }, (_, at) => nodeOf(`n${String(at).padStart(4, '0')}`))
  const text = told(peerOf('tor'), { nodes, session: () => ({ peer: 'tor', state: 'Connect' }) })
  assert.match(text, /established on 0 of 5000 nodes; not on n0000 \(Connect\), .* n0004 \(Connect\) and 4995 more$/)
})

test('a BGPPeer is for the nodes that its selector has, that are not its own end, and that can have an agent', () => {
  const labels = { rack: 'r1' }
  const peer = peerOf('tor', { peerAddress: '192.0.2.1', peerASN: 1, nodeSelector: { matchLabels: labels } })
  const nodes = [
    nodeOf('other'),
    nodeOf('itself', { labels, addrs: [Addr.parse('192.0.2.1')] }),
    nodeOf('windows', { labels, canHaveAgent: false }),
  ]
  assert.match(told(peer, { nodes }), /^\[0,0\] Established=False NoNodes: /)
  assert.match(told(peer, { nodes: [...nodes, nodeOf('n1', { labels })] }), /^\[1,0\] Established=False/)
})

test('of two BGPPeers with one neighbour the second says which one is taken', () => {
  const peers = [peerOf('a'), peerOf('b')]
  assert.match(told(peers[1]!, { nodes: [nodeOf('n1')], peers }), /not on n1 \(BGPPeer a is with the same neighbour\)/)
  const context = { nodes: [nodeOf('n0', { canHaveAgent: false }), nodeOf('n1')], peers }
  assert.deepEqual(rivalProblems(peers[0]!, context), [])
  const { status, reason, message } = acceptance(rivalProblems(peers[1]!, context))
  assert.equal(`${status} ${reason}`, 'False SameNeighbour')
  assert.equal(message, 'BGPPeer a, whose name sorts first, is with the same neighbour on n1 (CW4101)')
})

test('what cannot be used is not accepted, with field and code', () => {
  const { peer, problems } = bgpPeerOf(objectOf('tor', { peerAddress: 'tor.example', peerASN: 23_456 }), '')
  const { nodes, conditions } = peerTold(peer, problems, { nodes: [nodeOf('n1')], peers: [], session: () => undefined })
  assert.equal(nodes, undefined)
  const [accepted, established] = conditions
  assert.deepEqual([accepted!.status, accepted!.reason], ['False', 'NoNeighbour'])
  assert.match(accepted!.message, /spec\.peerAddress: "tor\.example" is no IP address \(CW4005\)/)
  assert.match(accepted!.message, /spec\.peerASN: 23456 is reserved and no AS's number \(CW4005\)/)
  assert.deepEqual([established!.status, established!.reason], ['False', 'NotAccepted'])
})

test('a condition keeps its time until its status is another one', () => {
  const spec = { peerAddress: '192.0.2.1', peerASN: 1 }
  const toldOf = (count: number) =>
    peerTold(peerOf('p'), [], {
      nodes: count === 0 ? [] : [nodeOf('n1')],
      peers: [],
      session: () => ({ peer: 'p', state: 'Established' }),
    })
  const first = statusOf(objectOf('p', spec), toldOf(0), Date.parse('2026-01-01T00:00:00Z'))
  const object = { ...objectOf('p', spec), status: first }
  const second = statusOf(object, toldOf(1), Date.parse('2026-01-02T00:00:00Z'))
  assert.equal(second.observedGeneration, 3)
  assert.deepEqual(
    second.conditions.map(({ type, observedGeneration, lastTransitionTime }) => [
      type,
      observedGeneration,
      lastTransitionTime,
    ]),
    [
      ['Accepted', 3, '2026-01-01T00:00:00Z'],
      ['Established', 3, '2026-01-02T00:00:00Z'],
    ],
  )
})

test('of Node objects and BGPNodes only what counts is read', () => {
  const conditions = [
    { type: 'Ready', status: 'True' },
    { type: 'NetworkUnavailable', status: 'False', reason: 'CausewayIsUp' },
  ]
  const node: KubeNode = { metadata: { name: 'n1', labels: { a: 'b' } }, status: { conditions } }
  const { isSilent, routingState, labels } = statusNodeOf(node)
  assert.deepEqual([isSilent, routingState?.mode, labels], [false, 'vxlan', { a: 'b' }])
  assert.equal(statusNodeOf({ metadata: { name: 'n2' } }).routingState, undefined)
  const sessions = [
    { peer: 'tor', state: 'Active', lastError: 'x'.repeat(500), received: 3 },
    { peer: 'node/n2', state: 'Established' },
    { peer: 7, state: 'Idle' },
    'nothing',
  ]
  const kept = keepSessions({ metadata: { name: 'n1', labels: {} }, status: { sessions } } as KubeObject)
  assert.deepEqual(sessionsOf(kept), [{ peer: 'tor', state: 'Active', lastError: `${'x'.repeat(119)}…` }])
  assert.deepEqual(keepSessions(kept), kept)
})
