// What the page says of rows: its headline, what is wrong, pairs, the table of them, the picture.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type NodeRow, type ProbedPair } from '#/ui/contract.ts'
import { headlineOf } from './headline.ts'
import { cellKey, cellOf, groupCells, groupsOf, mostNodes } from './matrix.ts'
import { pairsOf } from './pairs.ts'
import { hullOf, ringOf } from './ring.ts'
import { doctorText } from './doctor-text.ts'
import { capital, readyText } from './words.ts'
import { absenceOf, wrongAt, wrongOf } from './wrong.ts'

const pair = (to: string, state: ProbedPair['state'] = 'ok'): ProbedPair => ({
  to,
  state,
  way: 'vxlan',
  sinceMs: 0,
  rttMs: 0.4,
})

const row = (name: string, more: Partial<NodeRow> = {}): NodeRow => ({
  name,
  state: 'ready',
  addrs: [],
  podCIDRs: [],
  pods: 2,
  crossings: { vxlan: 1, native: 0, none: 0 },
  pairs: [],
  problems: [],
  ...more,
})

const nodesOf = (...rows: NodeRow[]): Map<string, NodeRow> => new Map(rows.map((each) => [each.name, each]))

function titleOf(...rows: NodeRow[]): string {
  const nodes = nodesOf(...rows)
  return headlineOf({ link: 'live', nodes, askedMs: 1 }, [...pairsOf(nodes).values()], wrongOf({ nodes })).title
}

const problem = (code: string, object: string): NodeRow['problems'][number] => ({
  code,
  object,
  message: 'm',
  how: 'h',
  remedy: 'r',
})

test('the headline tells the worst, and names it', () => {
  const whole = [row('a', { pairs: [pair('b')] }), row('b', { pairs: [pair('a')] })]
  assert.equal(titleOf(...whole), '2 nodes, packets cross everywhere')
  assert.equal(titleOf(row('a', { pairs: [pair('b', 'broken')] }), whole[1]!), 'a does not reach b')
  assert.equal(
    titleOf(row('a', { pairs: [pair('b', 'broken'), pair('c', 'broken')] }), row('b'), row('c')),
    'Packets do not cross to or from a',
  )
  assert.equal(
    titleOf(row('a', { pairs: [pair('b', 'broken'), pair('c', 'broken'), pair('d')] }), row('b'), row('c'), row('d')),
    'Packets do not cross between a and 2 of 3 other nodes',
  )
  assert.equal(
    titleOf(
      row('a', { pairs: [pair('b', 'broken')] }),
      row('b'),
      row('c', { pairs: [pair('d', 'one way')] }),
      row('d'),
    ),
    'Packets do not cross between 2 pairs of nodes',
  )
  assert.equal(titleOf(row('a'), row('b', { state: 'not ready' })), 'b is not ready for pods')
  assert.equal(titleOf(row('a'), row('b', { state: 'silent' })), 'The agent of b does not answer')
  assert.equal(titleOf(row('a', { state: 'silent' }), row('b', { state: 'silent' })), 'No agent answers')
  assert.equal(titleOf(row('a', { state: 'silent' })), 'The agent does not answer')
  assert.equal(
    titleOf(row('a', { pairs: [pair('b', 'small only')] }), row('b')),
    'Large packets between a and b are lost',
  )
  assert.equal(titleOf(row('a', { pairs: [pair('b', 'lossy')] }), row('b')), 'Some packets between a and b are lost')
  const lossy = [pair('b', 'lossy'), pair('c', 'lossy')]
  assert.equal(titleOf(row('a', { pairs: lossy }), row('b'), row('c')), 'Some packets to and from a are lost')
  assert.equal(
    titleOf(row('a', { pairs: [...lossy, pair('d')] }), row('b'), row('c'), row('d')),
    'Some packets between a and 2 of 3 other nodes are lost',
  )
  assert.equal(
    titleOf(row('a', { pairs: [pair('b')], problems: [problem('CW1', 'node/a')] }), row('b')),
    '2 nodes, packets cross everywhere; 1 thing to see to',
  )
  assert.equal(titleOf(row('a')), '1 node, ready')
  assert.equal(titleOf(row('a'), row('b')), '2 nodes, ready')
})

test('that all is well is said of what is known, and while it is known', () => {
  const told = (rows: readonly NodeRow[], isOld = false): string[] => {
    const nodes = nodesOf(...rows)
    const { tone, title } = headlineOf({ link: 'live', nodes, askedMs: 1 }, [...pairsOf(nodes).values()], [], isOld)
    return [tone, title]
  }
  const two = [row('a', { pairs: [pair('b')] }), row('b')]
  assert.deepEqual(told([row('a')]), ['good', '1 node, ready'])
  assert.deepEqual(told([row('a'), row('b')]), ['none', '2 nodes, ready'])
  assert.deepEqual(told(two), ['good', '2 nodes, packets cross everywhere'])
  assert.deepEqual(told([...two, row('c')]), ['none', '3 nodes, packets cross between 2 of them'])
  assert.deepEqual(told([...two, row('c', { pairs: [pair('a', 'unknown')] })]), [
    'none',
    '3 nodes, packets cross between 2 of them',
  ])
  assert.deepEqual(told(two, true), ['none', 'Last known: 2 nodes, packets cross everywhere'])
  assert.deepEqual(told([row('a', { pairs: [pair('b', 'broken')] }), row('b')], true), [
    'bad',
    'Last known: a does not reach b',
  ])
})

test('where doctor finds what is wrong, probes alone do not show that packets cross', () => {
  const nodes = nodesOf(row('a', { pairs: [pair('b')] }), row('b'))
  const found = { ...problem('CW7003', 'node/a'), nodes: [], objects: [], consequences: [], others: [] }
  const title = (by: 'doctor' | 'agents'): string =>
    headlineOf({ link: 'live', nodes, askedMs: 1 }, [...pairsOf(nodes).values()], [{ ...found, by }]).title
  assert.equal(title('doctor'), '2 nodes, ready; 1 thing to see to')
  assert.equal(title('agents'), '2 nodes, packets cross everywhere; 1 thing to see to')
})

test('nodes that are only observed send no probes, and the headline says so', () => {
  const headline = (...rows: NodeRow[]): object => {
    const nodes = nodesOf(...rows)
    const wrong = wrongOf({ nodes })
    const { tone, title, facts } = headlineOf({ link: 'live', nodes, askedMs: 1 }, [...pairsOf(nodes).values()], wrong)
    return { tone, title, facts }
  }
  const observed = (name: string, more: Partial<NodeRow> = {}): NodeRow => row(name, { observes: 'flannel', ...more })
  assert.deepEqual(headline(observed('a'), observed('b')), {
    tone: 'none',
    title: '2 nodes, observed and not probed',
    facts: ['4 pods', 'VXLAN', 'flannel'],
  })
  assert.deepEqual(headline(observed('a', { problems: [problem('CW1', 'node/a')] })), {
    tone: 'unknown',
    title: '1 node, observed and not probed; 1 thing to see to',
    facts: ['2 pods', 'VXLAN', 'flannel'],
  })
  assert.deepEqual(headline(row('a', { pairs: [pair('b')] }), row('b'), observed('c')), {
    tone: 'none',
    title: '3 nodes, packets cross between 2 of them',
    facts: [
      '6 pods',
      'VXLAN',
      'flannel on 1 node, observed and not probed',
      '1 of 1 probed pair answers, typically in 0.40 ms',
    ],
  })
})

test('a name keeps its small letter also at the beginning of a sentence', () => {
  const texts = [
    'table inet x drops',
    'ready, with problems',
    'node-1: no answer',
    'eth0 is down',
    'worker: gone',
    'rack',
  ]
  assert.deepEqual(texts.map(capital), [
    'Table inet x drops',
    'Ready, with problems',
    'node-1: no answer',
    'eth0 is down',
    'worker: gone',
    'Rack',
  ])
})

test('a node that is ready with problems is ready', () => {
  const text = (...states: NodeRow['state'][]): string => readyText(states.map((state) => ({ state })))
  assert.equal(text('ready'), '1 node, ready')
  assert.equal(text('ready', 'ready with problems', 'ready with problems'), '3 nodes, ready, 2 with problems')
  assert.equal(text('ready', 'silent', 'ready with problems', 'not ready'), '4 nodes, 2 of 4 ready, 1 with problems')
})

test('where no agent answers, nothing is said of probes', () => {
  const facts = (...rows: NodeRow[]): readonly string[] =>
    headlineOf({ link: 'live', nodes: nodesOf(...rows) }, [], []).facts
  assert.deepEqual(facts(row('a', { state: 'silent' }), row('b', { state: 'silent' })), ['4 pods', 'VXLAN'])
  assert.deepEqual(facts(row('a'), row('b', { state: 'silent' })), ['4 pods', 'VXLAN', 'no way was probed yet'])
})

test('nothing is claimed before nodes were asked', () => {
  const told = (more: object): string => headlineOf({ link: 'live', nodes: new Map(), ...more }, [], []).title
  assert.equal(told({}), 'Asking the nodes…')
  assert.equal(told({ askedMs: 1 }), 'There is no node with an agent')
  assert.equal(told({ failure: 'no pods' }), 'The nodes cannot be found')
  assert.equal(titleOf(row('a', { state: 'unknown' }), row('b')), '2 nodes, 1 of them not asked yet')
})

test('a pair is as bad as the worse of its directions; what a silent node said last does not count', () => {
  const nodes = nodesOf(
    row('a', { pairs: [pair('b')] }),
    row('b', { pairs: [pair('a', 'lossy')] }),
    row('c', { state: 'silent', pairs: [pair('a', 'broken')] }),
    row('d', { pairs: [pair('nobody', 'broken')] }),
  )
  const pairs = [...pairsOf(nodes).values()]
  assert.deepEqual(
    pairs.map(({ a, b, state }) => [a, b, state]),
    [['a', 'b', 'lossy']],
  )
  assert.equal(cellOf('a', 'b', pairsOf(nodes), nodes).state, 'ok')
  assert.equal(cellOf('b', 'a', pairsOf(nodes), nodes).state, 'lossy')
  assert.equal(cellOf('a', 'c', pairsOf(nodes), nodes).words, 'not probed; the agent of c does not answer')
  assert.equal(cellOf('c', 'a', pairsOf(nodes), nodes).words, 'not known: the agent of c does not answer')
  assert.match(cellOf('a', 'd', pairsOf(nodes), nodes).words, /each node probes some others/)
  assert.equal(cellOf('a', 'a', pairsOf(nodes), nodes).state, 'self')
})

test('a problem that several nodes tell is one, and none that doctor has explained', () => {
  const nodes = nodesOf(
    row('a', { problems: [problem('CW1306', 'node/b'), problem('CW1', 'node/a')] }),
    row('b', { problems: [problem('CW7002', 'node/b')] }),
    row('c', { problems: [problem('CW1306', 'node/b')] }),
  )
  assert.deepEqual(
    wrongOf({ nodes }).map(({ code, nodes: by }) => [code, by]),
    [
      ['CW1306', ['a', 'c']],
      ['CW1', ['a']],
      ['CW7002', ['b']],
    ],
  )
  const report = {
    summary: '',
    findings: [
      {
        ...problem('CW7002', 'node/b'),
        objects: ['node/b'],
        nodes: ['b'],
        // of what is alike the words name the first alone
        consequences: ['a tells CW1306 node/x: nothing comes (and 1 more like it)'],
        explains: [
          { code: 'CW1306', object: 'node/x' },
          { code: 'CW1306', object: 'node/b' },
        ],
        lost: [],
      },
    ],
    notes: [],
    nodes: [],
    packets: [],
    packetsLeftOut: 0,
    exitStatus: 1,
  }
  const wrong = wrongOf({ nodes, doctor: { state: 'done', atMs: 1, report } })
  assert.deepEqual(
    wrong.map(({ code, by }) => [code, by]),
    [
      ['CW7002', 'doctor'],
      ['CW1', 'agents'],
    ],
  )
  assert.deepEqual(
    wrongAt(wrong, 'b').map(({ code }) => code),
    ['CW7002'],
  )
})

test('a finding is gone only where everybody was asked who could tell of it', () => {
  const nodes = nodesOf(row('a'), row('b'))
  const state = { link: 'live', source: '', version: '', rounds: 1, skewMs: 0, nodes } as const
  const doctor = { state: 'done', atMs: 1 } as const
  const told = (more: object, isOld = false): string[] => Object.values(absenceOf({ ...state, doctor, ...more }, isOld))
  assert.deepEqual(told({}), ['good', 'Nobody tells of this now.'])
  assert.deepEqual(told({ link: 'connecting' }), ['none', 'Asking the nodes…'])
  for (const [more, why] of [
    [{ nodes: nodesOf(row('a', { state: 'silent' }), row('b')) }, '1 node did not answer'],
    [{ doctor: undefined }, 'doctor has not looked'],
    [{ doctor: { state: 'failed', atMs: 1 } }, 'doctor has not looked'],
    [{ doctor: { state: 'running', atMs: 1 } }, 'doctor is looking'],
  ] as const)
    assert.deepEqual(told(more), ['none', `Nobody who answered tells of this, but ${why}.`])
  assert.deepEqual(told({}, true), ['none', 'Nobody who answered tells of this, but there is no news now.'])
})

test('what doctor found last, and when, is said also while it looks again, and when it could not', () => {
  const report = { summary: '1 thing is wrong', findings: [], notes: [], nodes: [], packets: [], packetsLeftOut: 0 }
  const last = { atMs: 9, report: { ...report, exitStatus: 1 }, reportMs: Date.UTC(2026, 10, 30, 2, 14) }
  assert.equal(doctorText(undefined), 'Doctor has not looked yet.')
  assert.equal(doctorText({ state: 'running', atMs: 9 }), 'Doctor is looking for causes…')
  assert.equal(doctorText({ state: 'failed', atMs: 9, message: 'no' }), 'Doctor could not look: no')
  assert.equal(doctorText({ state: 'done', ...last }), 'Doctor: 1 thing is wrong, 02:14:00 UTC')
  const well = { atMs: 9, report: { ...report, summary: 'nothing is wrong', exitStatus: 0 }, reportMs: last.reportMs }
  assert.equal(doctorText({ state: 'done', ...well }), 'Doctor: nothing is wrong, 02:14:00 UTC')
  assert.equal(
    doctorText({ state: 'done', ...well }, true),
    'Doctor has not looked since. What it found last: nothing is wrong, 02:14:00 UTC',
  )
  const until = 'What it found last: 1 thing is wrong, 02:14:00 UTC'
  assert.equal(doctorText({ state: 'running', ...last }), `Doctor is looking for causes… ${until}`)
  assert.equal(doctorText({ state: 'failed', message: 'no', ...last }), `Doctor could not look: no. ${until}`)
})

test('many nodes are told by groups that hold each of them once, none too large for a table', () => {
  fc.assert(
    fc.property(
      fc.array(fc.option(fc.constantFrom('r1', 'r2', 'r10'), { nil: undefined }), { maxLength: 300 }),
      (racks) => {
        const nodes = nodesOf(...racks.map((rack, index) => row(`n${index}`, rack === undefined ? {} : { rack })))
        const groups = groupsOf(nodes)
        assert.deepEqual(groups.flatMap(({ names }) => names).sort(), [...nodes.keys()].sort())
        assert.ok(groups.every(({ names }) => names.length <= mostNodes))
        assert.equal(new Set(groups.map(({ key }) => key)).size, groups.length)
      },
    ),
  )
})

test('a group is as bad as the worst way from it', () => {
  const nodes = nodesOf(
    row('a', { rack: 'x', pairs: [pair('c', 'broken'), pair('b')] }),
    row('b', { rack: 'x', pairs: [pair('c')] }),
    row('c', { rack: 'y', pairs: [pair('a')] }),
  )
  const groups = groupsOf(nodes)
  const [x, y] = groups.map(({ key }) => key) as [string, string]
  const cells = groupCells(groups, pairsOf(nodes))
  assert.deepEqual(cells.get(cellKey(x, y)), {
    state: 'broken',
    words: '1 of 2 probed ways: at worst no packet arrives',
  })
  assert.equal(cells.get(cellKey(y, x))?.state, 'ok')
  assert.equal(cells.get(cellKey(y, y)), undefined)
})

test('in the picture every node stands within it, on a place of its own, beside those of its rack', () => {
  const picture = { width: 1000, height: 500 }
  const card = { width: 150, height: 60 }
  fc.assert(
    fc.property(
      fc.array(fc.option(fc.constantFrom('r1', 'r2', 'r3'), { nil: undefined }), { minLength: 1, maxLength: 40 }),
      (racks) => {
        const spots = ringOf(
          racks.map((rack, index) => row(`n${index}`, rack === undefined ? {} : { rack })),
          picture,
          card,
        )
        assert.equal(spots.length, racks.length)
        for (const { x, y } of spots) {
          assert.ok(x >= card.width / 2 - 1 && x <= picture.width - card.width / 2 + 1)
          assert.ok(y >= card.height / 2 - 1 && y <= picture.height - card.height / 2 + 1)
        }
        assert.equal(new Set(spots.map(({ x, y }) => `${x.toFixed(2)} ${y.toFixed(2)}`)).size, spots.length)
        const changes = spots.filter(({ rack }, index) => rack !== spots.at(index - 1)!.rack).length
        assert.ok(changes <= new Set(racks).size)
      },
    ),
  )
})

test('two nodes stand side by side, in the order of their names; three have one above', () => {
  const spots = (count: number) =>
    ringOf(
      Array.from({ length: count }, (_, index) => row(`n${index + 1}`)),
      { width: 1000, height: 400 },
      { width: 200, height: 80 },
    ).map(({ x, y }) => [Math.round(x), Math.round(y)])
  assert.deepEqual(spots(1), [[500, 200]])
  assert.deepEqual(spots(2), [
    [100, 200],
    [900, 200],
  ])
  assert.deepEqual(spots(3), [
    [500, 40],
    [900, 360],
    [100, 360],
  ])
})

test('a hull holds all points, and turns one way', () => {
  const point = fc.record({ x: fc.integer({ min: 0, max: 99 }), y: fc.integer({ min: 0, max: 99 }) })
  fc.assert(
    fc.property(fc.array(point, { minLength: 3, maxLength: 30 }), (points) => {
      const hull = hullOf(points)
      for (const [index, a] of hull.entries()) {
        const b = hull[(index + 1) % hull.length]!
        for (const { x, y } of points) assert.ok((b.x - a.x) * (y - a.y) - (b.y - a.y) * (x - a.x) >= 0)
      }
    }),
  )
})
