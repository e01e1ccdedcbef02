import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { healthy, sightingAt, tunnelWay } from '#/trace/testing/scene.ts'
import { judgeTrace, outcomes, type TraceFacts } from '#/trace/verdict.ts'
import { UsageError } from './args.ts'
import { splitPort, wishOf } from './trace.ts'
import { traceJson } from './trace-json.ts'
import { type TraceRun } from './trace-run.ts'
import { triedWays } from './trace-ways.ts'
import { renderTrace } from './trace-text.ts'

test('an end may have a port behind it', () => {
  for (const [text, expected] of [
    ['shop/web', { end: 'shop/web' }],
    ['shop/web:80', { end: 'shop/web', port: 80 }],
    ['10.0.0.1:80', { end: '10.0.0.1', port: 80 }],
    ['10.0.0.1', { end: '10.0.0.1' }],
    ['fd00::1', { end: 'fd00::1' }],
    ['[fd00::1]', { end: 'fd00::1' }],
    ['[fd00::1]:80', { end: 'fd00::1', port: 80 }],
  ] as const)
    assert.deepEqual(splitPort(text), expected, text)
  for (const text of ['web:0', 'web:65536', '[fd00::1]:99999']) assert.throws(() => splitPort(text), UsageError, text)
})

test('what does not go together is refused', () => {
  assert.deepEqual(wishOf({}, undefined), { protocol: 'icmp' })
  assert.deepEqual(wishOf({}, 80), { protocol: 'tcp', port: 80 })
  assert.deepEqual(wishOf({ udp: true, size: '1400' }, 53), { protocol: 'udp', port: 53, sizeBytes: 1400 })
  assert.throws(() => wishOf({ icmp: true }, 80), UsageError)
  // probes of one connection take one way
  assert.deepEqual(wishOf({ ways: true }, undefined), { protocol: 'tcp' })
  assert.deepEqual(wishOf({ ways: true }, 80), { protocol: 'tcp', port: 80 })
  assert.throws(() => wishOf({ icmp: true, ways: true }, undefined), UsageError)
  assert.throws(() => wishOf({ udp: true, tcp: true }, 80), UsageError)
  assert.throws(() => wishOf({ size: '1400' }, 80), /SYN carries no data/)
  assert.throws(() => wishOf({ size: 'big' }, undefined), UsageError)
})

function runOf(facts: TraceFacts): TraceRun {
  const { from, to } = facts
  return {
    probe: {
      pair: { from, to },
      wish: { protocol: 'icmp' },
      request: { src: from.addr, dst: to.addr, protocol: 'icmp' },
    },
    facts,
    sent: { node: 'node-1', sentAtMs: 1 },
    ...judgeTrace(facts),
    blind: [],
    notes: [],
  }
}

test('a healthy trace is a line for each device, and the verdict', () => {
  const text = renderTrace(runOf(healthy()), { width: Infinity, hasSteps: false })
  assert.equal(
    text.slice(0, text.indexOf('the answer')),
    `ICMP echo: pod default/a (10.244.1.2 on node-1) → pod default/b (10.244.2.2 on node-2)

the probe
NODE    DEVICE              SEEN  MS     BYTES  PACKET
node-1  pod default/a eth0  out   0.000  98     ICMP echo request 10.244.1.2 → 10.244.2.2
        cwv1                in    0.010  98
        cw-br0              in    0.020  98
        cw-vxlan            out   0.030  98
        eth0                out   0.050  98
node-2  eth0                in    0.000  98
        cw-vxlan            in    0.010  98
        cw-br0              out   0.020  98
        cwv2                out   0.030  98
        pod default/b eth0  in    0.040  98

`,
  )
  assert.equal(text.split('\n').at(-1), 'pod default/b answers pod default/a after 1.110 ms')
})

test('behind the first place that was not seen nothing is told', () => {
  const facts = healthy()
  const cut = {
    ...facts,
    sightings: tunnelWay.there.slice(0, 7).map((place, index) => sightingAt(place, index, 'there')),
  }
  const text = renderTrace(runOf(cut), { width: Infinity, hasSteps: false })
  assert.match(text, /^node-2 +eth0 +NO$/m)
  assert.doesNotMatch(text, /cwv2/)
  assert.match(text, /^LOST: the probe left node-1 by eth0 and never came to eth0 of node-2/m)
  const { exitStatus, verdict } = traceJson(runOf(cut))
  assert.equal(exitStatus, 1)
  assert.equal(verdict.firstNotSeen?.node, 'node-2')
})

test('times count from the first place of a node that was shown, and a refusal begins where it was seen', () => {
  const facts = healthy()
  const isHidden = (index: number): boolean => index === 7 || index === 12
  const text = renderTrace(runOf({ ...facts, sightings: facts.sightings.filter((_, index) => !isHidden(index)) }), {
    width: Infinity,
    hasSteps: false,
  })
  assert.match(text, /not shown/)
  for (const [, ms] of text.matchAll(/ (?:in|out|queued) +([\d.]+) /g)) assert.ok(Number(ms) < 10, text)
})

test('equal ways are told: which one the packet takes, and what became of several probes', () => {
  const hops = [
    { device: 'eth0', gateway: '10.0.0.1', isChosen: true },
    { device: 'eth1', isChosen: false },
  ]
  const step = { kind: 'route', text: '', isObstacle: false, ways: { hops, chosenBy: 'ports' } } as const
  const facts = healthy()
  const predictions = {
    ...facts.predictions,
    there: facts.predictions.there.map((each, index) => (index === 0 ? { ...each, steps: [step] } : each)),
  }
  const run = runOf({ ...facts, predictions })
  const options = { width: Infinity, hasSteps: false }
  assert.match(
    renderTrace(run, options),
    /^node-1 has 2 equal ways: eth0 via 10\.0\.0\.1, which this packet takes, and eth1; other connections may take another: --ways tries them$/m,
  )
  const lost = runOf({
    ...facts,
    sightings: tunnelWay.there.slice(0, 7).map((place, index) => sightingAt(place, index, 'there')),
  })
  const fromPort = (each: TraceRun, sourcePort: number): TraceRun => ({
    ...each,
    probe: { ...each.probe, request: { ...each.probe.request, sourcePort } },
  })
  const ways = triedWays([fromPort(run, 1), fromPort(lost, 2), fromPort(run, 3)])
  assert.deepEqual(ways, [
    {
      way: 'eth0 of node-1 → eth0 of node-2, back eth0 of node-2 → eth0 of node-1',
      outcome: 'answered',
      sourcePorts: [1, 3],
    },
    { way: 'as far as eth0 of node-1', outcome: 'lost', sourcePorts: [2] },
  ])
  assert.match(renderTrace({ ...run, ways }, options), /^1 +LOST +as far as eth0 of node-1$/m)
})

test('docs/trace.md has each field of --json', () => {
  const section = readFileSync(new URL('../../docs/trace.md', import.meta.url), 'utf8')
    .split('\n## --json\n')[1]!
    .split('\n## ')[0]!
  const documented = new Set([...section.matchAll(/`(\w+)(?:\[\])?`/g)].map(([, name]) => name))
  const lost = runOf({
    ...healthy(),
    sightings: tunnelWay.there.slice(0, 7).map((place, index) => sightingAt(place, index, 'there')),
  })
  const json = traceJson({ ...lost, behind: { addr: '10.0.0.1' }, fullBytes: 1450, ways: [] })
  const undocumented = [...Object.keys(json), ...Object.keys(json.verdict)].filter((name) => !documented.has(name))
  assert.deepEqual(undocumented, [])
  for (const outcome of outcomes) assert.ok(section.includes(`\`${outcome}\``), outcome)
})
