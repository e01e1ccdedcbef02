import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { pairsOf } from './pairs.ts'
import { renderMatrix } from './render.ts'
import type { ProbePod, ProbeResult } from './types.ts'
import { Addr } from '#/lib/addr.ts'

function podsOf(count: number): ProbePod[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `web-${index + 1}`,
    node: `node-${(index % 2) + 1}`,
    netnsPath: '',
    addrs: [Addr.parse(`10.0.0.${index + 1}`), Addr.parse(`fd00::${index + 1}`)],
  }))
}

/** Results of all pairs; `isBroken` gets "web-1 web-2 tcp v4". */
function resultsOf(pods: ProbePod[], isBroken: (probe: string) => boolean): ProbeResult[] {
  return pairsOf(pods, [4, 6]).flatMap(({ from, to, family }) =>
    (['icmp', 'tcp'] as const).map((protocol): ProbeResult => {
      const key = { from: from.name, to: to.name, family, protocol }
      return isBroken(`${from.name} ${to.name} ${protocol} v${family}`)
        ? { ...key, ok: false, outcome: 'broken', problem: 'no reply within 100 ms' }
        : { ...key, ok: true, outcome: 'ok', rttMs: protocol === 'icmp' ? 0.08 : 0.1 }
    }),
  )
}

test('a matrix that is all ok', () => {
  const pods = podsOf(3)
  assert.equal(
    renderMatrix(
      pods,
      resultsOf(pods, () => false),
    ),
    [
      'from \\ to  node    web-1  web-2  web-3',
      'web-1      node-1  -      ok     ok',
      'web-2      node-2  ok     -      ok',
      'web-3      node-1  ok     ok     -',
      '',
      '6 pairs, 24 probes: 24 ok, 0 failed (icmp p50 0.08 ms p99 0.08 ms, tcp p50 0.10 ms p99 0.10 ms)',
    ].join('\n'),
  )
})

test('a cell says which of its probes failed, as short as it goes', () => {
  const pods = podsOf(2)
  for (const [broken, cell] of [
    [/web-1 web-2/, 'all'],
    [/web-1 web-2 .* v6/, 'v6'],
    [/web-1 web-2 tcp/, 'tcp'],
    [/web-1 web-2 icmp v4/, 'icmp v4'],
    [/web-1 web-2 (icmp v4|tcp v6)/, 'icmp v4, tcp v6'],
  ] as const) {
    const rendered = renderMatrix(
      pods,
      resultsOf(pods, (probe) => broken.test(probe)),
    )
    assert.equal(rendered.split('\n')[1], `web-1      node-1  -      ✗ ${cell}`)
  }
})

test('what policies deny is told apart from what is broken, and what came through in spite of them is worst', () => {
  const pods = podsOf(2)
  const deniedBy = 'networkpolicy/default/quiet (ingress)'
  const render = (outcomeOf: (probe: ProbeResult) => ProbeResult['outcome']): string[] => {
    const results = resultsOf(pods, () => false).map((probe): ProbeResult => {
      const { rttMs = 0, ...rest } = probe
      const outcome = outcomeOf(probe)
      if (outcome === 'ok') return probe
      const failed = { ...rest, ok: false, outcome, problem: 'no reply within 100 ms' }
      return outcome === 'broken'
        ? failed
        : outcome === 'denied'
          ? { ...failed, deniedBy }
          : { ...rest, rttMs, outcome, deniedBy }
    })
    return renderMatrix(pods, results).split('\n')
  }
  const isThere = ({ from }: ProbeResult): boolean => from === 'web-1'
  const denied = render((probe) => (isThere(probe) ? 'denied' : 'ok'))
  assert.equal(denied[1], 'web-1      node-1  -      denied')
  assert.match(denied[4]!, /^2 pairs, 8 probes: 4 ok, 4 denied by policy, 0 failed \(/)
  assert.equal(denied[5], `4 probes from node-1: ${deniedBy}; such as web-1 → web-2 icmp v4`)
  const partly = render((probe) => (isThere(probe) && probe.protocol === 'icmp' ? 'denied' : 'ok'))
  assert.equal(partly[1], 'web-1      node-1  -      ok tcp')
  const broken = render((probe) => (isThere(probe) ? (probe.family === 4 ? 'denied' : 'broken') : 'ok'))
  assert.equal(broken[1], 'web-1      node-1  -      ✗ v6')
  const leaked = render((probe) => (isThere(probe) ? (probe.family === 4 ? 'leak' : 'broken') : 'ok'))
  assert.equal(leaked[1], 'web-1      node-1  -      LEAK v4')
  assert.match(leaked[4]!, /4 ok, 0 denied by policy, 2 failed, 2 LEAKED: a policy forbids them, and they arrived/)
  assert.equal(leaked[5], `2 probes from node-1: LEAKED, though ${deniedBy}; such as web-1 → web-2 icmp v4`)
})

test('one cause of failures is one line, with where and an example', () => {
  const pods = podsOf(4)
  const rendered = (isBroken: (probe: string) => boolean): string[] => {
    const lines = renderMatrix(pods, resultsOf(pods, isBroken)).split('\n')
    return lines.slice(lines.findIndex((line) => line.startsWith('12 pairs, 48 probes: ')))
  }
  const [summary, ...all] = rendered((probe) => probe.includes('v6'))
  assert.match(summary!, /^12 pairs, 48 probes: 24 ok, 24 failed/)
  assert.deepEqual(all, ['24 probes: no reply within 100 ms; such as web-1 → web-2 icmp v6'])
  // web-1 and web-3 are on node-1
  assert.deepEqual(rendered((probe) => /^web-[13] web-[24]/.test(probe)).slice(1), [
    '16 probes from node-1: no reply within 100 ms; such as web-1 → web-2 icmp v4',
  ])
  assert.deepEqual(rendered((probe) => probe === 'web-1 web-2 tcp v4').slice(1), [
    'web-1 → web-2 tcp v4: no reply within 100 ms',
  ])
})

/** Twenty nodes with two pods each. */
const twenty = Array.from({ length: 40 }, (_, index) => ({
  ...podsOf(40)[index]!,
  node: `node-${Math.floor(index / 2) + 1}`,
}))

test('twenty nodes fit 80 columns: those that are not ok, and with whom', () => {
  const render = (isBroken: (probe: string) => boolean): string[] => {
    const lines = renderMatrix(twenty, resultsOf(twenty, isBroken), { width: 80 }).split('\n')
    for (const line of lines) assert.ok(line.length <= 80, line)
    return lines
  }
  assert.equal(render(() => false)[0], '20 nodes of 20: ok to and from all others')
  assert.deepEqual(render((probe) => probe.startsWith('web-1 web-3 ')).slice(0, 4), [
    'NODE    OK TO    OK FROM  NOT OK WITH',
    'node-1  308/312  312/312  node-2',
    'node-2  312/312  308/312  node-1',
    '18 nodes of 20: ok to and from all but these',
  ])
  // node-3 is gone
  const gone = render((probe) => /\bweb-[56] /.test(probe))
  assert.deepEqual(gone.slice(1, 3), [
    'node-3  0/312  0/312    node-1, node-2, node-3 and 17 more',
    '19 nodes of 20: ok to and from all but these',
  ])
  assert.match(gone.join('\n'), /^\d+ probes from and to node-3: no reply/m)
})

test('there is a whole matrix where there is room', () => {
  const results = resultsOf(twenty, () => false)
  assert.equal(renderMatrix(twenty, results, { width: 300 }), renderMatrix(twenty, results))
  assert.match(
    renderMatrix(
      podsOf(12),
      resultsOf(podsOf(12), () => false),
      { width: 80 },
    ),
    /^from . to  pods  node-1/,
  )
})

test('many pods are shown by node', () => {
  const pods = podsOf(13)
  const rendered = renderMatrix(
    pods,
    resultsOf(pods, (probe) => /web-1 web-2 icmp/.test(probe)),
  )
  assert.deepEqual(rendered.split('\n').slice(0, 4), [
    'from \\ to  pods  node-1   node-2',
    'node-1     7     168/168  166/168',
    'node-2     6     168/168  120/120',
    '',
  ])
})

test('colour changes nothing but the colour, and nothing is coloured unasked', () => {
  const pods = podsOf(3)
  const results = resultsOf(pods, (probe) => probe.includes('tcp v4'))
  const plain = renderMatrix(pods, results)
  const coloured = renderMatrix(pods, results, { color: true })
  assert.ok(coloured.includes('\u001B[31m'))
  assert.equal(stripVTControlCharacters(coloured), plain)
  assert.equal(stripVTControlCharacters(plain), plain)
})

test('no pods, no results: still an answer', () => {
  assert.equal(renderMatrix([], []), 'from \\ to  node\n\n0 pairs, 0 probes: 0 ok, 0 failed')
})
