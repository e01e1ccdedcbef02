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
    (['icmp', 'tcp'] as const).map((protocol) => {
      const key = { from: from.name, to: to.name, family, protocol }
      return isBroken(`${from.name} ${to.name} ${protocol} v${family}`)
        ? { ...key, ok: false, problem: 'no reply within 100 ms' }
        : { ...key, ok: true, rttMs: protocol === 'icmp' ? 0.08 : 0.1 }
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

test('failures are told by cause, with their count and an example; single ones by themselves, the first twenty of them', () => {
  const pods = podsOf(4)
  const results = resultsOf(pods, (probe) => probe.includes('v6'))
  const rendered = renderMatrix(pods, results)
  const lines = rendered.split('\n')
  const summary = lines.findIndex((line) => line.startsWith('12 pairs, 48 probes: 24 ok, 24 failed'))
  assert.deepEqual(lines.slice(summary + 1), ['24 probes: no reply within 100 ms; for example web-1 → web-2 icmp v6'])
  const different = results.map((each, index) => (each.ok ? each : { ...each, problem: `problem ${index}` }))
  const single = renderMatrix(pods, different)
    .split('\n')
    .slice(summary + 1)
  assert.equal(single[0], 'web-1 → web-2 icmp v6: problem 2')
  assert.equal(single[19]?.startsWith('web-4 → '), true)
  assert.deepEqual(single.slice(20), ['and 4 more'])
})

test('failures that have a pod or a node in common name it', () => {
  const pods = podsOf(4)
  for (const [broken, line] of [
    [/web-\d web-3/, '12 probes to web-3: no reply within 100 ms; for example web-1 → web-3 icmp v4'],
    [/web-3 web-\d/, '12 probes from web-3: no reply within 100 ms; for example web-3 → web-1 icmp v4'],
    [/web-3/, '24 probes from or to web-3: no reply within 100 ms; for example web-1 → web-3 icmp v4'],
    [
      /web-[13] web-[24] tcp/,
      '8 probes from pods of node-1 to pods of node-2: no reply within 100 ms; for example web-1 → web-2 tcp v4',
    ],
    [/web-1 web-2 icmp v6/, 'web-1 → web-2 icmp v6: no reply within 100 ms'],
  ] as const) {
    const results = resultsOf(pods, (probe) => broken.test(probe))
    assert.equal(renderMatrix(pods, results).split('\n').at(-1), line)
  }
})

/** As a lab of 20 nodes and 40 pods has them. */
function bigLab(): ProbePod[] {
  return podsOf(40).map((pod, index) => ({ ...pod, node: `node-${Math.floor(index / 2) + 1}` }))
}

test('the matrix of a big lab fits 80 columns, and is whole where there is room', () => {
  const pods = bigLab()
  const good = resultsOf(pods, () => false)
  assert.deepEqual(renderMatrix(pods, good, { columns: 80 }).split('\n'), [
    '20 nodes with 40 pods: ok from every pod to every pod',
    '',
    '1560 pairs, 6240 probes: 6240 ok, 0 failed (icmp p50 0.08 ms p99 0.08 ms, tcp',
    '    p50 0.10 ms p99 0.10 ms)',
  ])
  assert.equal(renderMatrix(pods, good, { columns: 300 }), renderMatrix(pods, good))
  assert.match(renderMatrix(pods, good), /^node-20 +2( +\d+\/\d+){20}$/m)
})

test('a node that is gone is one row of a big lab, and one line of its failures', () => {
  const pods = bigLab()
  // web-13 and web-14 are on node-7, web-39 on node-20 and web-3 on node-2
  const results = resultsOf(pods, (probe) => /web-1[34]\b/.test(probe) || /web-39 web-3 tcp v6/.test(probe))
  const lines = renderMatrix(pods, results, { columns: 80 }).split('\n')
  assert.deepEqual(lines.slice(0, 6), [
    '20 nodes with 40 pods; probes that were ok, of nodes where some were not:',
    'node     from it  to it    fails with',
    'node-7   0/312    0/312    itself, every other node',
    'node-20  295/296  296/296  node-2',
    '18 other nodes: all ok between them',
    '',
  ])
  for (const line of lines) assert.ok(line.length <= 80, line)
  assert.ok(lines.length < 14, lines.join('\n'))
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
