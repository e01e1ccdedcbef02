import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type LiveLine, type NodeRow } from '#/ui/contract.ts'
import { type Event, isOld, nothing, reduce, type State } from './state.ts'

const row = (name: string, more: Partial<NodeRow> = {}): NodeRow => ({
  name,
  state: 'ready',
  addrs: [],
  podCIDRs: [],
  pairs: [],
  problems: [],
  ...more,
})

const line = (each: LiveLine): Event => ({ kind: 'line', line: each, atMs: 1 })

const all = (...nodes: NodeRow[]) =>
  ({ kind: 'all', source: 'lab default', version: '1', nodes, nowMs: 1, askedMs: 1 }) as const

const played = (...events: Event[]): State => events.reduce(reduce, nothing)

test('nodes are in the order of their names, with numbers as numbers', () => {
  const { nodes } = played(line(all(row('node-10'), row('node-2'), row('node-1'))))
  assert.deepEqual([...nodes.keys()], ['node-1', 'node-2', 'node-10'])
})

test('changed rows keep their place, new ones find theirs, and who is gone is gone', () => {
  const { nodes } = played(
    line(all(row('a'), row('b'), row('d'))),
    line({ kind: 'nodes', changed: [row('b', { state: 'silent' }), row('c')], gone: ['a'], nowMs: 2, askedMs: 2 }),
  )
  assert.deepEqual(
    [...nodes.values()].map(({ name, state }) => [name, state]),
    [
      ['b', 'silent'],
      ['c', 'ready'],
      ['d', 'ready'],
    ],
  )
})

test('a round without changes leaves the very nodes that there were, and says that they were asked', () => {
  const before = played(line(all(row('a'))))
  const after = reduce(before, line({ kind: 'nodes', changed: [], gone: [], nowMs: 9, askedMs: 9 }))
  assert.equal(after.nodes, before.nodes)
  assert.deepEqual([after.askedMs, after.rounds], [9, before.rounds + 1])
})

test('what was known stays while nobody answers, and a line ends that', () => {
  const lost = played(line(all(row('a'))), { kind: 'lost', why: 'it has ended' })
  assert.deepEqual([lost.link, lost.why, lost.nodes.size], ['lost', 'it has ended', 1])
  const found = reduce(lost, line({ kind: 'nodes', changed: [], gone: [], nowMs: 2, askedMs: 2 }))
  assert.deepEqual([found.link, found.why], ['live', undefined])
})

test('that nodes may be missing holds until a round says no more so', () => {
  const round = { kind: 'nodes', changed: [], gone: [], nowMs: 2, askedMs: 2 } as const
  const first = played(line({ ...all(row('a')), unlisted: 'no right' }))
  assert.equal(first.unlisted, 'no right')
  assert.equal(reduce(first, line({ ...round, unlisted: 'no time' })).unlisted, 'no time')
  assert.equal(reduce(first, line(round)).unlisted, undefined)
  assert.equal(reduce(first, line({ kind: 'failure', message: 'no' })).unlisted, 'no right')
})

test('a failure holds until the nodes are asked again', () => {
  const failed = played(line(all(row('a'))), line({ kind: 'failure', message: 'no pods of causeway' }))
  assert.equal(failed.failure, 'no pods of causeway')
  assert.equal(reduce(failed, line({ kind: 'nodes', changed: [], gone: [], nowMs: 2, askedMs: 2 })).failure, undefined)
  assert.equal(reduce(failed, line(all(row('a')))).failure, undefined)
})

test('a whole picture replaces everything, also what doctor said', () => {
  const doctor = { kind: 'doctor', doctor: { state: 'running', atMs: 1 } } as const
  const { doctor: now, nodes } = played(line(all(row('a'), row('b'))), line(doctor), line(all(row('c'))))
  assert.equal(now, undefined)
  assert.deepEqual([...nodes.keys()], ['c'])
})

test('what is shown is old when news is late, and at once when the link is lost or the agents cannot be found', () => {
  const fresh = played(line({ ...all(row('a')), dueMs: 2_000 }))
  assert.equal(isOld(fresh, 2_000), false)
  assert.equal(isOld(fresh, 11_000), false)
  assert.equal(isOld(fresh, 12_001), true)
  const later = reduce(
    fresh,
    line({ kind: 'nodes', changed: [], gone: [], nowMs: 13_000, askedMs: 13_000, dueMs: 14_500 }),
  )
  assert.equal(isOld(later, 13_000), false)
  assert.equal(isOld(reduce(later, { kind: 'lost', why: 'it has ended' }), 13_000), true)
  assert.equal(isOld(reduce(later, line({ kind: 'failure', message: 'no' })), 13_000), true)
  // a page that comes when nobody has looked for an hour
  assert.equal(isOld(played(line({ ...all(row('a')), nowMs: 3_600_000, dueMs: 2_000 })), 3_600_000), true)
})

test('times are those of the command, whatever the clock of the browser says', () => {
  const hourMs = 3_600_000
  const at = (atMs: number, each: LiveLine): Event => ({ kind: 'line', line: each, atMs })
  const ahead = played(at(hourMs + 5, { ...all(row('a')), nowMs: 5 }))
  assert.deepEqual([ahead.skewMs, ahead.heardMs], [hourMs, 5])
  // somebody sets the clock
  const set = reduce(ahead, at(25, { kind: 'nodes', changed: [], gone: [], nowMs: 20, askedMs: 20 }))
  assert.deepEqual([set.skewMs, set.heardMs], [5, 20])
})
