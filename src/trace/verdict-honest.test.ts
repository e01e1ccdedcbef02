import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  cut,
  from,
  healthy,
  type NodeStep,
  predictionsOf,
  resetBytes,
  sightingAt,
  to,
  tunnelWay,
} from './testing/scene.ts'
import { exitStatus, judgeTrace, type TraceFacts } from './verdict.ts'
import { type Direction, type Sighting } from './types.ts'

const there = tunnelWay.there.map((place, index) => sightingAt(place, index, 'there'))
const back = tunnelWay.back.map((place, index) => sightingAt(place, 100 + index, 'back'))
const verdictOf = (facts: Partial<TraceFacts>) => judgeTrace({ ...healthy(), ...facts }).verdict

const resets = (sightings: readonly Sighting[]): Sighting[] =>
  sightings.map((each) => ({ ...each, bytes: resetBytes() }))

function dropAt(
  at: { node: string; device: string; pod?: string },
  index: number,
  direction: Direction,
  reason: string,
) {
  return sightingAt({ ...at, place: 'drop' }, index, direction, { drop: { reason, function: 'nft_do_chain' } })
}

test('a reset that a firewall sends in the name of the receiver is no answer of the receiver', () => {
  const drop = dropAt({ node: 'node-2', device: 'cw-vxlan' }, 9, 'there', 'NETFILTER_DROP')
  const rejected = [...there.slice(0, 9), drop, ...resets(back.slice(4))]
  for (const port of [{ port: 80 }, {}]) {
    const verdict = verdictOf({ protocol: 'tcp', ...port, sightings: rejected })
    assert.equal(verdict.outcome, 'refused')
    assert.equal(verdict.text, 'a firewall refuses the probe in the name of pod default/b, at node-2')
    assert.equal(exitStatus(verdict), 1)
  }
  // one in the receiver's own namespace
  const own = dropAt({ node: 'node-2', device: 'eth0', pod: to.pod }, 13, 'there', 'NETFILTER_DROP')
  assert.equal(verdictOf({ protocol: 'tcp', port: 80, sightings: [...there, own, ...resets(back)] }).outcome, 'refused')
  // where the receiver's node is not watched, nobody knows who it was
  const blind = [{ node: 'node-2', why: 'its agent does not answer' }]
  const seen = [...there.slice(0, 7), ...resets(back.slice(7))]
  assert.equal(verdictOf({ protocol: 'tcp', port: 80, sightings: seen, blind }).outcome, 'closed')
})

test("an answer that is dropped in the sender's own namespace is lost", () => {
  const at = { node: 'node-1', device: 'eth0', pod: from.pod }
  const verdict = verdictOf({ sightings: [...there, ...back, dropAt(at, 120, 'back', 'NETFILTER_DROP')] })
  assert.equal(verdict.outcome, 'answer-lost')
  assert.match(verdict.text, /^the answer was dropped at eth0 of pod default\/a: a rule of a firewall/)
  // no socket waits for it, a ping beside it waits for another, and kernels before 5.19 say nothing
  for (const reason of ['NO_SOCKET', 'SOCKET_FILTER', 'NOT_SPECIFIED'])
    assert.equal(verdictOf({ sightings: [...there, ...back, dropAt(at, 120, 'back', reason)] }).outcome, 'answered')
})

test('what went to a node that neither watches nor says what it would do is not known to be lost', () => {
  const predictions = { there: predictionsOf(tunnelWay.there).slice(0, 1), back: [] }
  const blind = [{ node: 'node-2', why: 'no agent there was asked to watch' }]
  const verdict = verdictOf({ predictions, sightings: there.slice(0, 7), blind })
  assert.equal(verdict.outcome, 'untold')
  assert.equal(exitStatus(verdict), 3)
  assert.equal(verdict.remedy, undefined)
  assert.match(verdict.text, /became of it on node-2 is not known: no agent there was asked to watch$/)
  // what the watched node has dropped, or not sent, is known
  const drop = dropAt({ node: 'node-1', device: 'eth0' }, 8, 'there', 'NETFILTER_DROP')
  assert.equal(verdictOf({ predictions, sightings: [...there.slice(0, 7), drop], blind }).outcome, 'lost')
  assert.equal(verdictOf({ predictions, sightings: there.slice(0, 5), blind }).outcome, 'lost')
})

test('of an answer that went to a node that does not watch it is not known whether it came', () => {
  const sightings = [...there.slice(7), ...back.slice(0, 7)]
  const verdict = verdictOf({ sightings, blind: [{ node: 'node-1', why: 'its kernel shows nothing' }] })
  assert.equal(verdict.outcome, 'untold')
  assert.match(verdict.text, /^the answer left eth0 of node-2; what became of it on node-1 is not known/)
})

test('a refusal that a firewall has sent in the name of the receiver, and that is lost itself, is still a refusal', () => {
  const drop = dropAt({ node: 'node-2', device: 'cw-vxlan' }, 9, 'there', 'NETFILTER_DROP')
  const verdict = verdictOf({
    protocol: 'tcp',
    port: 80,
    sightings: [...there.slice(0, 9), drop, ...resets(back.slice(4, 7))],
  })
  assert.equal(verdict.outcome, 'refused')
  assert.match(
    verdict.text,
    /^a firewall refuses the probe in the name of pod default\/b, at node-2; the refusal itself left node-2 by eth0 and never came to eth0 of node-1/,
  )
  // that of the receiver itself is an answer like any other
  const own = verdictOf({ protocol: 'tcp', port: 80, sightings: [...there, ...resets(back.slice(0, 7))] })
  assert.equal(own.outcome, 'answer-lost')
})

test('a datagram that a process has, and does not answer, is told as that', () => {
  const socketless = dropAt({ node: 'node-2', device: 'eth0', pod: to.pod }, 13, 'there', 'NO_SOCKET')
  const ports = { protocol: 'udp', port: 53 } as const
  const taken = verdictOf({ ...ports, sightings: there })
  assert.equal(taken.outcome, 'taken')
  assert.equal(exitStatus(taken), 4)
  assert.match(
    taken.text,
    /^the probe arrived at pod default\/b, and a process at UDP port 53 has it, and did not answer in time/,
  )
  const limited = verdictOf({ ...ports, sightings: [...there, socketless] })
  assert.equal(limited.outcome, 'unanswered')
  assert.match(limited.text, /no process listens there; its kernel does not say so, as it limits how often/)
  assert.equal(verdictOf({ ...ports, sightings: there.slice(0, -1) }).outcome, 'lost')
  assert.equal(verdictOf({ ...ports, sightings: [...there, ...back.slice(0, 3)] }).outcome, 'answer-lost')
})

test('what goes to an address that nobody has ends where another node saw it last', () => {
  const unknown = { addr: '10.244.2.99' }
  const predictions = { there: predictionsOf(tunnelWay.there).slice(0, 1), back: [] }
  const at = { node: 'node-2', device: 'cw-br0' }
  const drop = sightingAt({ ...at, place: 'drop' }, 15, 'there', {
    drop: { reason: 'NEIGH_FAILED', function: 'arp_error_report' },
  })
  const seen = there.slice(0, 9)
  const verdict = verdictOf({ to: unknown, predictions, sightings: seen })
  assert.match(verdict.text, /^the probe came as far as cw-vxlan of node-2$/)
  assert.match(
    verdictOf({ to: unknown, predictions, sightings: [...seen, drop] }).text,
    /^the probe was dropped at cw-br0 of node-2: /,
  )
})

test('who has the address of the receiver and answers is not the receiver', () => {
  const at = { node: 'node-1', device: 'cw-br0' } as const
  const read = sightingAt({ ...at, place: 'read' }, 4, 'there')
  const own = [
    sightingAt({ ...at, place: 'transmit' }, 110, 'back'),
    sightingAt({ node: 'node-1', device: 'cwv1', place: 'transmit' }, 111, 'back'),
    sightingAt({ node: 'node-1', device: 'eth0', pod: from.pod, place: 'receive' }, 112, 'back'),
  ]
  const step = {
    node: 'node-1',
    kind: 'route',
    text: 'address 10.244.2.2 on device lo',
    isObstacle: true,
    device: 'cw-br0',
    code: 'CW1303',
    remedy: 'take it away',
  } as const
  const predictions = { ...healthy().predictions, there: predictionsOf(tunnelWay.there, [step]) }
  const taken = [...there.slice(0, 4), read, ...own]
  const verdict = verdictOf({ predictions, sightings: taken })
  assert.equal(verdict.outcome, 'lost')
  assert.equal(
    verdict.text,
    'the probe never came to pod default/b: node-1 takes it for its own, and answers: address 10.244.2.2 on device lo',
  )
  assert.equal(verdict.code, 'CW1303')
  // a connection is refused there in the same way
  const refusing = sightingAt({ ...at, place: 'drop' }, 4, 'there', {
    drop: { reason: 'NO_SOCKET', function: 'tcp_v4_rcv' },
  })
  const tcp = verdictOf({
    protocol: 'tcp',
    port: 80,
    predictions,
    sightings: [...there.slice(0, 4), refusing, ...resets(own)],
  })
  assert.equal(tcp.text, verdict.text)
  // where the receiver's node is not watched, it may be the receiver
  const blind = [{ node: 'node-2', why: 'its agent does not answer' }]
  assert.equal(verdictOf({ predictions, sightings: taken, blind }).outcome, 'answered')
})

test('a frame for another MAC is the doing of the node that sent it', () => {
  const drop = dropAt({ node: 'node-2', device: 'eth0' }, 8, 'there', 'OTHERHOST')
  const verdict = verdictOf({ sightings: [...there.slice(0, 8), drop] })
  assert.match(verdict.remedy ?? '', /neighbour entry of the next hop on node-1:/)
})

test('a route that leads to where nobody answers is named in both families, whose kernels tell it differently', () => {
  const route = {
    node: 'node-1',
    kind: 'route',
    text: 'a rule leads it elsewhere than planned',
    isObstacle: true,
    code: 'CW1301',
  } as const
  const reasons = [
    { reason: 'NEIGH_FAILED', function: 'arp_error_report' },
    { reason: 'NOT_SPECIFIED', function: 'neigh_invalidate' },
  ]
  for (const drop of reasons) {
    const dropped = sightingAt({ node: 'node-1', device: 'vpn0', place: 'drop' }, 8, 'there', { drop })
    assert.equal(judgeTrace(cut('there', 4, [dropped], [route])).verdict.code, 'CW1301', drop.function)
  }
})

test("a frame that comes to a pod and is for another MAC is the doing of the pod's own node, or of a pod there", () => {
  const drop = dropAt({ node: 'node-2', device: 'eth0', pod: 'default/b' }, 30, 'there', 'OTHERHOST')
  const wrong: NodeStep = {
    node: 'node-2',
    kind: 'neighbour',
    device: 'cw-br0',
    text: 'the kernel sends to another MAC',
    isObstacle: true,
    remedy: 'ip neigh del 10.244.2.2 dev cw-br0',
  }
  const untold = judgeTrace(cut('there', 99, [drop])).verdict
  assert.equal(untold.outcome, 'lost')
  assert.match(untold.remedy ?? '', /neighbour entry of the next hop on node-2:/)
  const told = judgeTrace(cut('there', 99, [drop], [wrong])).verdict
  assert.equal(told.outcome, 'lost')
  assert.match(told.text, /dropped at eth0 of pod default\/b: the kernel sends to another MAC/)
  assert.equal(told.remedy, wrong.remedy)
})

test('a frame that is led to a device where nobody has its MAC says nothing of neighbours', () => {
  const lo = { node: 'node-2', device: 'lo' }
  const strange = [
    sightingAt({ ...lo, place: 'transmit' }, 20, 'there'),
    sightingAt({ ...lo, place: 'receive' }, 21, 'there'),
    dropAt(lo, 22, 'there', 'OTHERHOST'),
  ]
  const { verdict } = judgeTrace(cut('there', 9, strange))
  assert.equal(verdict.code, undefined)
  assert.equal(verdict.drop, undefined)
  assert.match(verdict.text, /^the probe came to cw-vxlan of node-2 and went on by lo, instead of/)
  assert.match(verdict.remedy ?? '', /tc filter show dev cw-vxlan ingress/)
})
