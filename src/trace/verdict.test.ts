import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  cut,
  from,
  healthy,
  type NodeStep,
  type Place,
  predictionsOf,
  sightingAt,
  to,
  tunnelWay,
} from './testing/scene.ts'
import { exitStatus, judgeTrace, type TraceFacts } from './verdict.ts'
import { type Direction } from './types.ts'

const verdictOf = (facts: TraceFacts) => judgeTrace(facts).verdict

test('a probe that is answered is told so', () => {
  const { verdict, hops } = judgeTrace(healthy())
  assert.deepEqual(verdict, { outcome: 'answered', text: 'pod default/b answers pod default/a' })
  assert.equal(exitStatus(verdict), 0)
  assert.deepEqual(
    hops.there.map(({ device }) => device),
    tunnelWay.there.map(({ device }) => device),
  )
  assert.ok(hops.back.every(({ sighting }) => sighting !== undefined))
})

test('a place that the kernel does not show does not count as lost', () => {
  const facts = healthy()
  for (let index = 0; index < facts.sightings.length; index++) {
    const sightings = facts.sightings.filter((_, each) => each !== index)
    const { outcome } = verdictOf({ ...facts, sightings })
    const isLast = index === facts.sightings.length - 1
    assert.equal(outcome, isLast ? 'answer-lost' : 'answered', String(index))
  }
})

test('lost between nodes, in the tunnel, and on the way to the pod are told apart', () => {
  const texts: [number, RegExp][] = [
    [0, /^the probe was not seen at all: not even at eth0 of pod default\/a$/],
    [4, /^the probe came to cw-br0 of node-1 and did not go on to cw-vxlan$/],
    [6, /^the probe was given to eth0 of node-1 to be sent, and did not leave it$/],
    [7, /^the probe left node-1 by eth0 and never came to eth0 of node-2: it was lost between the nodes$/],
    [8, /^the probe came to eth0 of node-2 and was not taken out of the tunnel by cw-vxlan$/],
    [11, /^the probe left cwv2 of node-2 and never came to eth0 of pod default\/b$/],
  ]
  for (const [seen, text] of texts) {
    const verdict = verdictOf(cut('there', seen))
    assert.equal(verdict.outcome, 'lost')
    assert.match(verdict.text, text)
    assert.equal(exitStatus(verdict), 1)
  }
  assert.match(verdictOf(cut('there', 7)).remedy ?? '', /between node-1 and node-2/)
})

test('a drop is told with the reason of the kernel, and joined with what is known to be in the way', () => {
  const at = { node: 'node-2', place: 'drop', device: 'eth0' } as const
  const drop = sightingAt(at, 20, 'there', { drop: { reason: 'NETFILTER_DROP', function: 'nft_do_chain+0x123' } })
  const alone = verdictOf(cut('there', 8, [drop]))
  assert.equal(
    alone.text,
    'the probe was dropped at eth0 of node-2: a rule of a firewall dropped it (NETFILTER_DROP in nft_do_chain)',
  )
  const rule: NodeStep = {
    node: 'node-2',
    kind: 'nftables',
    text: 'chain input of table ip filter drops UDP 8472',
    isObstacle: true,
    code: 'CW7003',
    remedy: 'allow UDP 8472',
  }
  const route: NodeStep = {
    node: 'node-2',
    kind: 'route',
    text: 'a blackhole route',
    isObstacle: true,
    device: 'cw-br0',
  }
  const joined = verdictOf(cut('there', 8, [drop], [route, rule]))
  assert.match(joined.text, /: chain input of table ip filter drops UDP 8472 \(NETFILTER_DROP in nft_do_chain\)$/)
  assert.equal(joined.code, 'CW7003')
  assert.equal(joined.remedy, 'allow UDP 8472')
  // a route is not what a firewall does
  assert.equal(verdictOf(cut('there', 8, [drop], [route])).text, alone.text)
})

test('a policy of the sender is enforced where its node forwards, behind the bridge', () => {
  const at = { node: 'node-1', place: 'drop', device: 'cw-br0' } as const
  const drop = sightingAt(at, 5, 'there', { drop: { reason: 'NETFILTER_DROP', function: 'nft_do_chain' } })
  const text = 'egress of default/a is denied'
  const step: NodeStep = { node: 'node-1', kind: 'policy', text, isObstacle: true, device: 'cwv1' }
  for (const told of [verdictOf(cut('there', 4, [drop], [step])), verdictOf(cut('there', 4, [], [step]))]) {
    assert.deepEqual([told.outcome, told.kind], ['lost', 'policy'])
    assert.match(told.text, /egress of default\/a is denied/)
  }
  const behind = verdictOf(cut('there', 7, [], [step]))
  assert.equal(behind.kind, undefined, 'it has left the node')
})

test('without a drop, what is in the way of the kernel that has the packet is named, and nothing elsewhere', () => {
  const neighbour: NodeStep = {
    node: 'node-1',
    kind: 'neighbour',
    text: '172.30.1.3 does not answer ARP on eth0',
    isObstacle: true,
    device: 'eth0',
  }
  assert.match(verdictOf(cut('there', 5, [], [neighbour])).text, /does not answer ARP/)
  assert.doesNotMatch(verdictOf(cut('there', 7, [], [neighbour])).text, /ARP/)
  assert.doesNotMatch(verdictOf(cut('there', 5, [], [{ ...neighbour, node: 'node-2' }])).text, /ARP/)
  assert.doesNotMatch(verdictOf(cut('there', 5, [], [{ ...neighbour, pod: 'default/b' }])).text, /ARP/)
})

test('an answer that is lost, or was never sent, is told as that', () => {
  const lost = verdictOf(cut('back', 7))
  assert.equal(lost.outcome, 'answer-lost')
  assert.match(lost.text, /^the answer left node-2 by eth0 and never came to eth0 of node-1/)
  const silent = verdictOf(cut('back', 0))
  assert.equal(silent.outcome, 'unanswered')
  assert.equal(silent.text, 'the probe arrived at pod default/b, and its kernel sends no answer')
  const obstacle: NodeStep = {
    node: 'node-2',
    kind: 'route',
    text: 'pod default/b has no route',
    isObstacle: true,
    pod: 'default/b',
  }
  assert.match(verdictOf(cut('back', 0, [], [obstacle])).text, /no answer left it: pod default\/b has no route$/)
})

test('a packet that goes on by another device than expected is told with that', () => {
  const stray = sightingAt({ node: 'node-1', place: 'transmit', device: 'tun0' }, 20, 'there')
  const verdict = verdictOf(cut('there', 4, [stray]))
  assert.match(verdict.text, /^the probe came to cw-br0 of node-1 and went on by tun0, instead of cw-vxlan$/)
  // what a bridge gives to the ports of other pods is a copy
  const flooded = sightingAt({ node: 'node-1', place: 'receive', device: 'eth0', pod: 'default/x' }, 20, 'there')
  assert.doesNotMatch(verdictOf(cut('there', 4, [flooded])).text, /went on/)
})

test('a reverse path filter is about the way back to the source', () => {
  const at = { node: 'node-2', place: 'drop', device: 'cw-vxlan' } as const
  const drop = sightingAt(at, 20, 'there', { drop: { reason: 'IP_RPFILTER', function: 'ip_rcv_finish_core' } })
  const facts = cut('there', 9, [drop])
  const route: NodeStep = { node: 'node-2', kind: 'route', text: 'a blackhole for the source', isObstacle: true }
  const back = predictionsOf(tunnelWay.back, [route])
  const { text } = verdictOf({ ...facts, predictions: { ...facts.predictions, back } })
  assert.match(text, /dropped at cw-vxlan of node-2: a blackhole for the source \(IP_RPFILTER/)
})

test('a node that has no way to receive it is told, and why', () => {
  const facts = cut('there', 7)
  const down: NodeStep = { node: 'node-2', kind: 'route', text: 'its eth0 is down', isObstacle: true }
  const there = predictionsOf(tunnelWay.there, [down]).map((each) =>
    each.node === 'node-2' ? { ...each, way: [] } : each,
  )
  const { text } = verdictOf({ ...facts, predictions: { ...facts.predictions, there } })
  assert.equal(text, 'the probe left node-1 by eth0, and node-2 cannot receive it: its eth0 is down')
})

test('what a node does that cannot be watched is not made up', () => {
  const facts = cut('there', 7)
  const verdict = verdictOf({ ...facts, blind: [{ node: 'node-2', why: 'its agent does not answer' }] })
  assert.equal(verdict.outcome, 'untold')
  assert.equal(exitStatus(verdict), 3)
  assert.match(verdict.text, /left eth0 of node-1; what became of it on node-2 is not known: its agent does not answer/)
})

const devices = ['eth0', 'cw-br0', 'cw-vxlan', 'cwv1', 'cwv2', 'bond0', 'br-lan'] as const

/** Ways that never come to the same place twice, over one node or two. */
const anyWay: fc.Arbitrary<Place[]> = fc
  .tuple(
    fc.uniqueArray(fc.tuple(fc.constantFrom('queue', 'transmit', 'receive'), fc.constantFrom(...devices)), {
      minLength: 1,
      maxLength: 8,
      selector: String,
    }),
    fc.uniqueArray(fc.tuple(fc.constantFrom('queue', 'transmit', 'receive'), fc.constantFrom(...devices)), {
      maxLength: 8,
      selector: String,
    }),
  )
  .map(([one, other]) => [
    ...one.map(([place, device]) => ({ node: 'node-1', place, device })),
    ...other.map(([place, device]) => ({ node: 'node-2', place, device })),
    { node: other.length === 0 ? 'node-1' : 'node-2', place: 'receive', device: 'eth0', pod: to.pod },
  ])

test('property: wherever a way is cut, the verdict names that place and blames no healthy hop', () => {
  fc.assert(
    fc.property(
      anyWay,
      fc.constantFrom<Direction>('there', 'back'),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.record({
        hasDrop: fc.boolean(),
        unseen: fc.array(fc.nat({ max: 20 }), { maxLength: 3 }),
        copies: fc.array(fc.nat({ max: 20 }), { maxLength: 3 }),
      }),
      fc.array(fc.tuple(fc.nat({ max: 20 }), fc.boolean()), { maxLength: 3 }),
      (way, direction, part, { hasDrop, unseen, copies }, doubts) => {
        const back = way.map((place) => (place.pod === undefined ? place : { ...place, pod: from.pod }))
        const places = direction === 'there' ? way : back
        const lastSeen = Math.min(places.length - 2, Math.floor(part * (places.length - 1)))
        fc.pre(lastSeen >= 0)
        const base = direction === 'there' ? 0 : 100
        // some places are not shown, but the last one is
        const shown = places.flatMap((place, index) =>
          index > lastSeen || (index !== lastSeen && unseen.includes(index))
            ? []
            : [sightingAt(place, base + index, direction)],
        )
        // copies of the packet that a bridge made, and that are dropped while the packet goes on
        const copied = copies
          .filter((index) => index < lastSeen && places[index]!.node === places[lastSeen]!.node)
          .map((index) =>
            sightingAt({ ...places[index]!, place: 'drop' as const }, base + index + 0.5, direction, {
              skb: 'a copy',
              drop: { reason: 'NOT_SPECIFIED', function: 'br_flood' },
            }),
          )
        const end = places[lastSeen]!
        const drop = hasDrop
          ? [
              sightingAt({ ...end, place: 'drop' as const }, base + lastSeen + 0.5, direction, {
                drop: { reason: 'NETFILTER_DROP', function: 'nft_do_chain' },
              }),
            ]
          : []
        // of the packet's own drop and that of a copy after it, the kernel's reason for the first counts
        const late = hasDrop
          ? [
              sightingAt({ ...end, place: 'drop' as const }, base + lastSeen + 0.7, direction, {
                skb: 'a copy',
                drop: { reason: 'NOT_SPECIFIED', function: 'br_flood' },
              }),
            ]
          : []
        // obstacles that were predicted for where the packet has been already, or never was
        const steps: NodeStep[] = doubts.flatMap(([index, isFirewall]) => {
          const place = places[index % places.length]!
          const isPassed = places
            .slice(0, lastSeen)
            .some(({ node, device }) => node === place.node && device === place.device)
          const isAhead = places
            .slice(lastSeen)
            .some(({ node, device }) => node === place.node && device === place.device)
          const isElsewhere = place.node !== end.node
          return (isPassed && !isAhead) || isElsewhere
            ? [
                {
                  node: place.node,
                  device: place.device,
                  kind: isFirewall ? 'nftables' : 'route',
                  text: 'WRONG',
                  isObstacle: true,
                  ...(place.pod !== undefined && { pod: place.pod }),
                },
              ]
            : []
        })
        const whole = way.map((place, index) => sightingAt(place, index, 'there'))
        const verdict = verdictOf({
          ...healthy(),
          predictions: { there: predictionsOf(way, steps), back: predictionsOf(back, steps) },
          sightings:
            direction === 'there'
              ? [...shown, ...copied, ...drop, ...late]
              : [...whole, ...shown, ...copied, ...drop, ...late],
        })
        assert.equal(verdict.outcome, direction === 'there' ? 'lost' : 'answer-lost')
        const { sighting: _, isExpected: _expected, ...named } = verdict.last!
        assert.deepEqual(named, end)
        assert.equal(verdict.direction, direction)
        assert.ok(!verdict.text.includes('WRONG'), verdict.text)
        assert.equal(verdict.text.includes('NETFILTER_DROP'), hasDrop, verdict.text)
        assert.ok(!verdict.text.includes('br_flood'), verdict.text)
      },
    ),
    { numRuns: 500 },
  )
})

test("what the sender's node has wrong of the tunnel's other end is the cause, wherever the packet ends by it", () => {
  const step = (kind: 'fdb' | 'neighbour', text: string): NodeStep => ({
    node: 'node-1',
    kind,
    device: 'cw-vxlan',
    text,
    isObstacle: true,
    code: kind === 'fdb' ? 'CW6503' : 'CW6502',
  })
  const end = step('fdb', 'sends to another end')
  const mac = step('neighbour', 'sends to another MAC')
  const dropped = (node: string, device: string, reason: string) =>
    sightingAt({ node, place: 'drop', device }, 20, 'there', { drop: { reason, function: 'f' } })
  const cases: [TraceFacts, RegExp, string][] = [
    // it left for an end where somebody else is
    [cut('there', 7, [], [end]), /never came to eth0 of node-2: sends to another end$/, 'CW6503'],
    // for one where nobody is
    [cut('there', 5, [dropped('node-1', 'eth0', 'NEIGH_FAILED')], [end]), /sends to another end/, 'CW6503'],
    // the other node has another MAC
    [cut('there', 9, [dropped('node-2', 'cw-vxlan', 'OTHERHOST')], [mac]), /sends to another MAC/, 'CW6502'],
    [cut('there', 5, [dropped('node-1', 'cw-vxlan', 'NO_TX_TARGET')], [mac]), /sends to another MAC/, 'CW6502'],
    // where no entry can be made, it is of no matter what is wrong with those that there are
    [
      cut('there', 5, [dropped('node-1', 'eth0', 'NEIGH_CREATEFAIL')], [mac]),
      /dropped at eth0 of node-1: the table of neighbours is full \(NEIGH_CREATEFAIL in f\)$/,
      'CW8107',
    ],
  ]
  for (const [facts, text, code] of cases) {
    const verdict = verdictOf(facts)
    assert.match(verdict.text, text)
    assert.equal(verdict.code, code)
    if (code === 'CW8107') assert.match(verdict.remedy ?? '', /gc_thresh3.*whole kernel/)
  }
})

test('an address of a pod CIDR that no pod has ends where its node says so', () => {
  const unused = { addr: '10.244.2.77', cidrNode: 'node-2' }
  const text = 'no pod of node-2 has 10.244.2.77: its agent knows of none'
  const nobody: NodeStep = { node: 'node-2', kind: 'deliver', device: 'cw-br0', text, isObstacle: true, remedy: 'look' }
  // where the way goes no further
  const places = tunnelWay.there.slice(0, 9)
  const seen = places.map((place, index) => sightingAt(place, index, 'there'))
  const facts: TraceFacts = {
    ...healthy(),
    to: unused,
    predictions: { there: predictionsOf(places, [nobody]), back: [] },
    sightings: seen,
  }
  const lost = verdictOf(facts)
  assert.equal(lost.text, `the probe came as far as cw-vxlan of node-2: ${text}`)
  assert.deepEqual([lost.outcome, lost.remedy, exitStatus(lost)], ['lost', 'look', 1])
  // the kernel has asked for the MAC in vain, and gives up
  const drop = { reason: 'NEIGH_FAILED', function: 'arp_error_report' }
  const gone = sightingAt({ node: 'node-2', place: 'drop', device: 'cw-br0' }, 40, 'there', { drop })
  const dropped = verdictOf({ ...facts, sightings: [...seen, gone] })
  assert.equal(dropped.text, `the probe was dropped at cw-br0 of node-2: ${text} (NEIGH_FAILED in arp_error_report)`)
  assert.equal(dropped.remedy, 'look')
  const blind = verdictOf({
    ...facts,
    predictions: { there: predictionsOf(places.slice(0, 7)), back: [] },
    sightings: seen.slice(0, 7),
    blind: [{ node: 'node-2', why: 'no agent there' }],
  })
  assert.match(blind.text, /; what became of it on node-2 is not known: no agent there$/)
  assert.deepEqual([blind.outcome, exitStatus(blind)], ['untold', 3])
})
