// What comes back of a probe and is no answer: a reset, errors of ICMP, and the error of the sender's own kernel.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { viewOf } from '#/lib/bytes.ts'
import { encodeProbe } from '#/wire/probe/packet.ts'
import { cut, from, healthy, type NodeStep, type Place, sightingAt, to, tunnelWay } from './testing/scene.ts'
import { exitStatus, judgeTrace, type TraceFacts } from './verdict.ts'

const verdictOf = (facts: TraceFacts) => judgeTrace(facts).verdict

const ip = (src: string, dst: string, what: 'rst' | 'unreachable', code = 3): string => {
  const probe = {
    src: Addr.parse(from.addr),
    dst: Addr.parse(to.addr),
    isWhole: false,
    protocol: 'tcp',
    sourcePort: 40_000,
    port: 80,
    seq: 1,
  } as const
  const quoted = encodeProbe(probe, 1)
  if (what === 'rst') {
    const bytes = encodeProbe({ ...probe, src: Addr.parse(src), dst: Addr.parse(dst), sourcePort: 80, port: 40_000 }, 1)
    bytes[20 + 13] = 0x14
    return bytes.toHex()
  }
  const bytes = new Uint8Array(20 + 8 + quoted.length)
  bytes.set(
    encodeProbe(
      {
        src: Addr.parse(src),
        dst: Addr.parse(dst),
        isWhole: false,
        protocol: 'icmp',
        id: 0,
        seq: 0,
        cookie: new Uint8Array(8),
      },
      1,
    ).subarray(0, 28),
  )
  viewOf(bytes).setUint16(2, bytes.length)
  bytes[20] = 3
  bytes[21] = code
  bytes.set(quoted, 28)
  return bytes.toHex()
}

test('a reset says that nothing listens, which is no fault where nobody asked for a port', () => {
  const facts = cut('back', tunnelWay.back.length)
  const bytes = ip(to.addr, from.addr, 'rst')
  const sightings = facts.sightings.map((each) => (each.role === 'answer' ? { ...each, bytes } : each))
  const asked = verdictOf({ ...facts, protocol: 'tcp', port: 80, sightings })
  assert.equal(asked.outcome, 'closed')
  assert.match(asked.text, /no process listens at TCP port 80$/)
  assert.equal(exitStatus(asked), 1)
  assert.equal(verdictOf({ ...facts, protocol: 'tcp', sightings }).outcome, 'answered')
})

test("a reset in the name of an address that no pod has is a firewall's, unless somebody there takes the packet", () => {
  const answered = cut('back', tunnelWay.back.length)
  const bytes = ip('10.244.2.77', from.addr, 'rst')
  const facts: TraceFacts = {
    ...answered,
    to: { addr: '10.244.2.77', cidrNode: 'node-2' },
    protocol: 'tcp',
    port: 80,
    sightings: answered.sightings
      .filter(({ pod }) => pod !== to.pod)
      .map((each) => (each.role === 'answer' ? { ...each, bytes } : each)),
  }
  assert.match(verdictOf(facts).text, /^a firewall refuses the probe in the name of 10\.244\.2\.77/)
  const drop = { reason: 'NO_SOCKET', function: 'tcp_v4_rcv' }
  const taken = sightingAt({ node: 'node-2', place: 'drop', device: 'eth0', pod: 'default/new' }, 30, 'there', { drop })
  assert.equal(verdictOf({ ...facts, sightings: [...facts.sightings, taken] }).outcome, 'closed')
})

test('an ICMP error of somebody on the way is no answer, and what it met is looked for where it began', () => {
  const facts = cut(
    'there',
    4,
    [],
    [
      {
        node: 'node-1',
        kind: 'nftables',
        text: 'a rule rejects it',
        isObstacle: true,
        remedy: 'remove it',
        code: 'CW7001',
      },
    ],
  )
  const error = ip('10.244.1.1', from.addr, 'unreachable', 13)
  const places: Place[] = [
    { node: 'node-1', place: 'transmit', device: 'cwv1' },
    { node: 'node-1', place: 'receive', device: 'eth0', pod: 'default/a' },
  ]
  const back = places.map((place, index) =>
    sightingAt(place, 50 + index, 'back', { role: 'probe-error', bytes: error }),
  )
  const verdict = verdictOf({ ...facts, sightings: [...facts.sightings, ...back] })
  assert.equal(verdict.outcome, 'refused')
  assert.equal(verdict.text, '10.244.1.1 refuses the probe: communication prohibited, at node-1: a rule rejects it')
  assert.deepEqual([verdict.code, verdict.remedy], ['CW7001', 'remove it'])
})

test('a refusal of the own kernel is told with its error, and the largest size that fits', () => {
  const facts = { ...healthy(), sightings: [], sizeBytes: 1500, refused: { code: 'EMSGSIZE', mtuBytes: 1450 } }
  const verdict = verdictOf(facts)
  assert.equal(verdict.outcome, 'not-sent')
  assert.match(verdict.text, /larger than the way allows, which is 1450 bytes, and the packet has 1500 \(EMSGSIZE\)$/)
  assert.match(verdict.remedy ?? '', /--size 1450/)
})

test('what a node sends by another route than one of the network is lost by that, whoever refuses it behind the node', () => {
  const noWay: NodeStep = {
    node: 'node-1',
    kind: 'route',
    text: 'no way leads to pods of node node-2',
    isObstacle: true,
    code: 'CW1201',
    remedy: 'see causeway status of this node',
  }
  const silent = verdictOf(cut('there', 7, [], [noWay]))
  assert.match(silent.text, /^the probe left node-1 by eth0 and never came to eth0 of node-2: no way leads to pods/)
  assert.deepEqual([silent.code, silent.kind, silent.remedy], ['CW1201', 'route', noWay.remedy])
  const error = ip('172.30.1.254', from.addr, 'unreachable', 0)
  const places: Place[] = [
    { node: 'node-1', place: 'receive', device: 'eth0' },
    { node: 'node-1', place: 'receive', device: 'eth0', pod: 'default/a' },
  ]
  const back = places.map((place, index) =>
    sightingAt(place, 50 + index, 'back', { role: 'probe-error', bytes: error }),
  )
  const refused = verdictOf(cut('there', 7, back, [noWay]))
  assert.equal(
    refused.text,
    '172.30.1.254 refuses the probe: network unreachable, after it left node-1 by eth0: no way leads to pods of node node-2',
  )
  assert.deepEqual([refused.outcome, refused.code], ['refused', 'CW1201'])
})

test('a router between nodes that takes less than they send is named, with the problem that it is', () => {
  const error = ip('172.30.1.254', from.addr, 'unreachable', 4)
  const back = (device: string, pod?: string) =>
    sightingAt({ node: 'node-1', place: 'receive', device, ...(pod !== undefined && { pod }) }, 50, 'back', {
      role: 'probe-error',
      bytes: error,
    })
  const errors = [back('eth0'), back('eth0', 'default/a')]
  const { text, code, outcome } = verdictOf(cut('there', 7, errors))
  assert.match(text, /^172\.30\.1\.254 refuses the probe: fragmentation needed.*, after it left node-1 by eth0$/)
  assert.deepEqual([outcome, code], ['refused', 'CW8101'])
  // nobody has promised what networks outside of the cluster carry
  const outside = { ...cut('there', 7, errors), to: { addr: to.addr } }
  assert.equal(verdictOf(outside).code, undefined)
})
