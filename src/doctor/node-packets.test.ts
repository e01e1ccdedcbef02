// Packets between the addresses of nodes: where no way leads to pods, they say why routers tell none.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { diagnose } from './diagnose.ts'
import { nodeEchoes } from './suspects.ts'
import { clusterOf, dropAt, factsOf, linkOf, packetOf, told, wholePacket } from './testing/answers.ts'
import { type FollowedPacket } from './types.ts'

const end = (node: string) => ({ name: node, node, isPod: false })
const between = (from: string, to: string, more: Partial<FollowedPacket>): FollowedPacket => ({
  ...packetOf(from, to),
  from: end(from),
  to: end(to),
  ...more,
})
const noWay = (from: string, to: string) => packetOf(from, to, { outcome: 'refused', code: 'CW1201' })

const noRoute = (node: string) => told('CW1201', `node/${node}`, `no route to pods of ${node}: BGP tells no way to it`)
/** Node-1 has no session of BGP any more: neither it nor any other knows a way. */
const cutOff = clusterOf(2, [
  ['node-1', noRoute('node-2'), told('CW1205', 'node/node-1', 'no way leads to any other node')],
  ['node-2', noRoute('node-1')],
])
const echo = between('node-1', 'node-2', { verdict: { outcome: 'answered', text: 'answered' } })
const syn = (reason: string) =>
  between('node-1', 'node-2', {
    protocol: 'tcp',
    verdict: {
      outcome: 'unanswered',
      text: 'its checksum is wrong',
      direction: 'there',
      drop: dropAt({ node: 'node-2' }, reason, 'tcp_v4_rcv'),
    },
  })
const lost = [noWay('node-1', 'node-2'), noWay('node-2', 'node-1')]
const codesWith = (ofNodes: readonly FollowedPacket[]): string[] =>
  diagnose(cutOff, lost, { ofNodes }).findings.map(({ code, objects }) => `${code} ${objects.join(' ')}`)

test('they go once for each two nodes of which no way leads from one to the pods of the other', () => {
  assert.deepEqual(nodeEchoes([wholePacket('node-1', 'node-2'), packetOf('node-1', 'node-3')]), [])
  const { verdict: _verdict, ...planned } = echo
  assert.deepEqual(nodeEchoes(lost), [planned])
  const many = Array.from({ length: 9 }, (_, index) => noWay('node-1', `node-${index + 2}`))
  assert.equal(nodeEchoes(many).length, 4)
})

test('what spoils checksums on the way spoils the sessions that tell routes', () => {
  assert.deepEqual(codesWith([echo, syn('TCP_CSUM')]), ['CW8103 node/node-1'])
  // a device with an offload counts where a packet is blamed on it
  const links = [{ ...linkOf('eth0'), offloads: { 'tx-checksumming': true } }]
  const withOffload = cutOff.map((each) => ({ ...each, facts: factsOf(each.node, { links }) }))
  const { findings } = diagnose(withOffload, lost, { ofNodes: [echo, syn('TCP_CSUM')] })
  assert.deepEqual(
    findings.map(({ code, objects }) => `${code} ${objects.join(' ')}`),
    ['CW8103 device/eth0'],
  )
})

test('a node whose agent hangs is not off where it answers at its address, though routers have forgotten its pods', () => {
  const answers = clusterOf(2, [['node-2', noRoute('node-1')]], ['node-1'])
  const gateway = { ...noWay('node-2', 'node-1'), to: { name: '10.244.0.1', node: 'node-1', isPod: false } }
  const codes = (ofNodes: readonly FollowedPacket[]): string[] =>
    diagnose(answers, [gateway], { ofNodes }).findings.map(({ code, objects }) => `${code} ${objects.join(' ')}`)
  const answer = between('node-2', 'node-1', { verdict: { outcome: 'answered', text: 'answered' } })
  const silence = between('node-2', 'node-1', { verdict: { outcome: 'lost', text: 'lost' } })
  assert.deepEqual(codes([answer]), ['CW6001 node/node-1'])
  assert.deepEqual(codes([silence]), ['CW6003 node/node-1'])
})

test('what a node refuses of packets for itself says nothing of the way, and an answer says nothing of pods', () => {
  const others = codesWith([])
  assert.deepEqual(others, ['CW1205 node/node-1'])
  assert.deepEqual(codesWith([echo]), others)
  assert.deepEqual(codesWith([echo, syn('NETFILTER_DROP')]), others)
})
