import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { stepKinds } from '#/model/trace.ts'
import { from, healthy, predictionsOf, sightingAt, to, tunnelWay } from '../testing/scene.ts'
import { type Direction, type Sighting, type Step } from '../types.ts'
import { judgeTrace, type TraceFacts } from '../verdict.ts'
import { type PageTrace } from './input.ts'
import { ladderOf } from './ladder.ts'
import { anyWorld, Flow } from '../testing/world.ts'
import { tracePage } from './page.ts'

function pageTrace(facts: TraceFacts): PageTrace {
  const { hops, verdict } = judgeTrace(facts)
  const { last, next, ...told } = verdict
  // as it is read from a file: what is one object there is several then
  return JSON.parse(
    JSON.stringify({
      probe: { protocol: facts.protocol, from: facts.from, to: facts.to },
      sent: { sentAtMs: 0 },
      predictions: facts.predictions,
      there: hops.there,
      back: hops.back,
      blind: facts.blind,
      notes: [],
      verdict: { ...told, ...(last && { lastSeen: last }), ...(next && { firstNotSeen: next }) },
    }),
  ) as PageTrace
}

const emptyElements = new Set(['meta', 'input', 'path'])

/** Fails where an element does not end, or not where it should. */
function assertWhole(page: string): void {
  const open: string[] = []
  for (const [, slash, name, rest] of page.matchAll(/<(\/?)([a-z]\w*)((?:\s[^<>]*)?)>/g)) {
    if (emptyElements.has(name!) || rest!.endsWith('/')) continue
    if (slash === '') open.push(name!)
    else assert.equal(open.pop(), name)
  }
  assert.deepEqual(open, [])
}

const count = (text: string, part: string): number => text.split(part).length - 1

test('a page holds each place once, in the order of the way, and marks an end where there is one', () => {
  const page = tracePage(pageTrace(healthy()), 'causeway')
  assertWhole(page)
  assert.deepEqual(
    [...page.matchAll(/<li class="station seen" id="([\w-]+)"/g)].map(([, id]) => id),
    ['there', 'back'].flatMap((way) => Array.from({ length: 10 }, (_, index) => `${way}-${index + 1}`)),
  )
  assert.equal(count(page, '<div class="end'), 0)
})

test('an address that no pod has ends on the node whose pod CIDR it is of, as a box with its mark', () => {
  const places = tunnelWay.there.slice(0, 9)
  const text = 'no pod of node-2 has 10.244.2.77: its agent knows of none'
  const nobody = { node: 'node-2', kind: 'deliver', device: 'cw-br0', text, isObstacle: true } as const
  const page = tracePage(
    pageTrace({
      ...healthy(),
      to: { addr: '10.244.2.77', cidrNode: 'node-2' },
      predictions: { there: predictionsOf(places, [nobody]), back: [] },
      sightings: places.map((place, index) => sightingAt(place, index, 'there')),
    }),
    'causeway',
  )
  assertWhole(page)
  assert.match(page.replaceAll(/<[^>]*>/g, ''), /address\s+10\.244\.2\.77\s+of a pod CIDR of node-2/)
  assert.equal(count(page, '<div class="end'), 1)
  assert.ok(page.includes(text))
})

test('steps stand where the packet meets them', () => {
  const step = (text: string, more: Partial<Step> = {}) => ({
    node: 'node-1',
    kind: 'route' as const,
    text,
    isObstacle: false,
    ...more,
  })
  const steps = [
    step('of the pod', { pod: 'default/a', device: 'eth0' }),
    step('where the namespace begins'),
    step('of the bridge', { device: 'cw-br0' }),
    step('still there'),
    step('of the underlay', { device: 'eth0' }),
    step('of what is passed', { device: 'cw-br0' }),
  ]
  const facts = healthy()
  const predictions = { ...facts.predictions, there: predictionsOf(tunnelWay.there, steps) }
  const ladder = ladderOf(pageTrace({ ...facts, predictions }), 'there')!
  const found = ladder.legs[0]!.groups.flatMap(({ stations }) =>
    stations.map((station) => [station.hop.device, station.steps.map(({ text }) => text)]),
  )
  assert.deepEqual(found, [
    ['eth0', ['of the pod']],
    ['cwv1', ['where the namespace begins']],
    ['cw-br0', ['of the bridge', 'still there']],
    ['cw-vxlan', []],
    ['eth0', ['of the underlay', 'of what is passed']],
  ])
})

const anyText = fc.oneof(
  fc.constant('<b onclick="x">\'&'),
  fc.string({ unit: 'binary' }),
  fc.constant('\u202e\u0000\n</script>'),
)

const anyStep = fc.record({
  node: fc.constantFrom('node-1', 'node-2'),
  kind: fc.constantFrom(...stepKinds),
  text: anyText,
  isObstacle: fc.boolean(),
  device: fc.constantFrom('eth0', 'cw-br0', 'cw-vxlan', 'cwv1'),
})

/** Traces that end anywhere, with places that were not shown, others that nobody expected, drops, nodes that nobody watches, and any bytes. */
const anyFacts = fc
  .record({
    cut: fc.record({ direction: fc.constantFrom<Direction>('there', 'back'), seen: fc.nat(12) }),
    hidden: fc.array(fc.nat(23), { maxLength: 3 }),
    steps: fc.array(anyStep, { maxLength: 6 }),
    drop: fc.option(fc.record({ node: fc.constantFrom('node-1', 'node-2'), device: anyText, reason: anyText }), {
      nil: undefined,
    }),
    stray: fc.option(anyText, { nil: undefined }),
    bytes: fc.option(fc.uint8Array({ maxLength: 120 }), { nil: undefined }),
    isForetold: fc.boolean(),
    blind: fc.option(anyText, { nil: undefined }),
    isOutside: fc.boolean(),
  })
  .map(({ cut, hidden, steps, drop, stray, bytes, isForetold, blind, isOutside }): TraceFacts => {
    const there = tunnelWay.there.map((place, index) => sightingAt(place, index, 'there'))
    const back = tunnelWay.back.map((place, index) => sightingAt(place, 100 + index, 'back'))
    const all = cut.direction === 'there' ? there.slice(0, cut.seen) : [...there, ...back.slice(0, cut.seen)]
    const seen = all.filter((_, index) => !hidden.includes(index))
    const extra: Sighting[] = [
      ...(drop
        ? [
            sightingAt({ node: drop.node, device: drop.device, place: 'drop' }, 50, 'there', {
              drop: { reason: drop.reason, function: 'f' },
            }),
          ]
        : []),
      ...(stray === undefined ? [] : [sightingAt({ node: 'node-2', device: stray, place: 'receive' }, 51, 'there')]),
    ]
    const predictions = {
      there: isForetold ? predictionsOf(tunnelWay.there, steps) : [],
      back: isForetold ? predictionsOf(tunnelWay.back, steps) : [],
    }
    const hex = bytes?.toHex()
    return {
      from,
      to: isOutside ? { addr: '9.9.9.9' } : to,
      protocol: 'icmp',
      predictions,
      sightings: [...seen, ...extra].map((each, index) =>
        hex !== undefined && index % 3 === 0 ? { ...each, bytes: hex, startsAt: 'link' } : each,
      ),
      blind: blind === undefined ? [] : [{ node: 'node-2', why: blind }],
    }
  })

test('whatever a trace holds becomes a whole page, in which all of it is text, and which ends in one place', () => {
  fc.assert(
    fc.property(anyFacts, (facts) => {
      const trace = pageTrace(facts)
      const page = tracePage(trace, 'causeway')
      assertWhole(page)
      assert.equal(count(page, '<b onclick'), 0)
      assert.equal(count(page, '</script>'), 1)
      assert.equal(count(page, '\u202e') + count(page, '\u0000'), 0)
      const isAnswered = trace.verdict.outcome === 'answered'
      const hasPlaces = page.includes('<div class="way')
      assert.equal(count(page, '<div class="end'), isAnswered || !hasPlaces ? 0 : 1, trace.verdict.outcome)
    }),
    { numRuns: 150 },
  )
})

test('the mark stands where the verdict says, in random worlds', () => {
  fc.assert(
    fc.property(anyWorld, fc.nat(24), fc.boolean(), ({ blind, ...world }, place, isWatched) => {
      // each place is where it ends as often as any other
      const fate = world.fate && { ...world.fate, part: place / 24 }
      const flow = new Flow({ ...world, ...(fate && { fate }), ...(blind && !isWatched && { blind }) })
      const trace = pageTrace(flow.facts)
      const { outcome, text, lastSeen, drop } = trace.verdict
      const ladders = (['there', 'back'] as const).flatMap((direction) => ladderOf(trace, direction) ?? [])
      const stations = ladders.flatMap(({ legs }) =>
        legs.flatMap(({ groups }) => groups.flatMap((each) => each.stations)),
      )
      const marked = stations.filter(({ mark }) => mark !== undefined)
      const wires = ladders.flatMap(({ wireMark }) => wireMark ?? [])
      const starts = ladders.flatMap(({ legMark }) => legMark ?? [])
      assert.equal(marked.length + wires.length + starts.length, outcome === 'answered' || ladders.length === 0 ? 0 : 1)
      if (text.endsWith('lost between the nodes')) assert.equal(wires[0]?.mark.words, 'lost between the nodes')
      else
        assert.ok(
          wires.every(({ mark }) => mark.words !== 'lost between the nodes'),
          text,
        )
      const [station] = marked
      if (station === undefined || (outcome !== 'lost' && outcome !== 'answer-lost')) return
      const { node, device = '', pod } = drop ?? lastSeen!
      assert.deepEqual([station.hop.node, station.hop.device, station.hop.pod], [node, device, pod], text)
    }),
    { numRuns: 2_000 },
  )
})
