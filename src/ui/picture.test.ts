import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Outcome } from '#/api/client.ts'
import { type NodeSummary } from '#/api/schemas/summary.ts'
import { type LiveLine, type NodeRow } from './contract.ts'
import { allLine, nodesLine } from './lines.ts'
import { Picture } from './picture.ts'

const answer = (node: string, pods = 0): Outcome<NodeSummary> => ({
  kind: 'answer',
  value: {
    node,
    version: '0.1.0',
    addrs: [],
    podCIDRs: [],
    readiness: 'ready',
    pods,
    crossings: { vxlan: 0, native: 0, none: 0 },
    pairs: [],
    problems: [],
  },
})
const silence: Outcome<NodeSummary> = { kind: 'silence', message: 'no agent answers' }
const state = { source: 'lab test', version: '0.1.0', nowMs: 2 }
const read = (line: string): LiveLine => JSON.parse(line) as LiveLine

test('the lines are JSON, whatever is known', () => {
  const picture = new Picture()
  picture.takeNames(['node-10', 'node-2'])
  assert.deepEqual(read(allLine(picture, state)), {
    kind: 'all',
    ...state,
    nodes: ['node-2', 'node-10'].map((name) => ({
      name,
      state: 'unknown',
      addrs: [],
      podCIDRs: [],
      pairs: [],
      problems: [],
    })),
  })
  const doctor = { state: 'running', atMs: 1 } as const
  assert.deepEqual(read(allLine(new Picture(), { ...state, askedMs: 3, dueMs: 4, doctor, failure: 'f' })), {
    kind: 'all',
    ...state,
    askedMs: 3,
    dueMs: 4,
    nodes: [],
    doctor,
    failure: 'f',
  })
})

test('that nodes may be missing is in the lines until a list of names says no more so', () => {
  const picture = new Picture()
  const toldIn = (): unknown[] =>
    [allLine(picture, state), nodesLine(picture, [], { nowMs: 1 })].map(
      (line) => (read(line) as { unlisted?: string }).unlisted,
    )
  picture.takeNames(['node-1'], 'no right to list "nodes"')
  assert.deepEqual(toldIn(), ['no right to list "nodes"', 'no right to list "nodes"'])
  picture.takeNames(['node-1'])
  assert.deepEqual(toldIn(), [undefined, undefined])
})

test('on a node alone the row has the name that its agent tells', () => {
  const picture = new Picture()
  picture.takeNames(['this node'])
  picture.takeChanges()
  picture.take('this node', answer('node-7'), 1)
  const line = read(nodesLine(picture, picture.takeChanges(), { nowMs: 5 }))
  assert.ok(line.kind === 'nodes')
  assert.deepEqual([line.changed.map(({ name }) => name), line.gone], [['node-7'], ['this node']])
  assert.equal(picture.row('node-7')!.state, 'ready')
})

test('an answer that is longer than any is not kept, and what was known of the node is', () => {
  const picture = new Picture()
  picture.takeNames(['node-1', 'node-2'])
  picture.take('node-1', answer('node-1', 7), 1)
  const long = answer('node-1')
  assert.ok(long.kind === 'answer')
  for (const addrs of [['x'.repeat(1 << 20)], Array.from({ length: 100_000 }, () => '10.0.0.1')]) {
    picture.take('node-1', { kind: 'answer', value: { ...long.value, addrs } }, 2)
    const row = picture.row('node-1')!
    assert.deepEqual([row.state, row.pods, row.heardMs], ['silent', 7, 1])
    assert.match(row.why!, /longer than 256 kB/)
    assert.ok(picture.textOf('node-1')!.length < 1000)
  }
  picture.take('node-1', answer('node-1', 8), 3)
  assert.equal(picture.row('node-1')!.state, 'ready')
})

test('what is wrong is the same in other words, and another when a node or a problem is', () => {
  const picture = new Picture()
  picture.takeNames(['node-1', 'node-2'])
  assert.equal(picture.troubles, '')
  picture.take('node-1', silence, 1)
  assert.equal(picture.troubles, 'node-1 silent')
  picture.take('node-1', { kind: 'silence', message: 'in other words' }, 1)
  assert.equal(picture.troubles, 'node-1 silent')
})

test('who takes every change in turn has what who takes all at once has', () => {
  const names = ['node-1', 'node-2', 'node-3', 'node-4']
  const steps = fc.array(
    fc.oneof(
      fc.record({ names: fc.subarray(names, { minLength: 2 }) }),
      fc.record({ name: fc.constantFrom(...names), pods: fc.integer({ min: 0, max: 2 }) }),
      fc.record({ silent: fc.constantFrom(...names) }),
      fc.constant({ tell: true }),
    ),
    { maxLength: 40 },
  )
  fc.assert(
    fc.property(steps, (all) => {
      const picture = new Picture()
      const known = new Map<string, NodeRow>()
      const tell = (): void => {
        const line = read(nodesLine(picture, picture.takeChanges(), { nowMs: 1 }))
        if (line.kind !== 'nodes') return
        for (const row of line.changed) known.set(row.name, row)
        for (const name of line.gone) known.delete(name)
      }
      for (const step of all)
        if ('names' in step) picture.takeNames(step.names)
        else if ('name' in step) picture.take(step.name, answer(step.name, step.pods), 7)
        else if ('silent' in step) picture.take(step.silent, silence, 7)
        else tell()
      tell()
      assert.deepEqual(
        [...known.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
        JSON.parse(picture.rowsText),
      )
    }),
  )
})
