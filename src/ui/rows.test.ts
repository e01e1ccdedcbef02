import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type NodeSummary, type SummaryPair } from '#/api/schemas/summary.ts'
import { type KnownRow, rowOf } from './rows.ts'

const pair = (more: Partial<SummaryPair> = {}): SummaryPair => ({
  to: 'node-2',
  state: 'ok',
  sinceMs: 1_000_000,
  way: 'vxlan',
  rttMs: 0.5,
  ...more,
})

const summary = (more: Partial<NodeSummary> = {}): NodeSummary => ({
  node: 'node-1',
  version: '0.1.0',
  addrs: ['172.30.1.11'],
  podCIDRs: ['10.244.1.0/24'],
  readiness: 'ready',
  pods: 2,
  crossings: { vxlan: 2, native: 0, none: 0 },
  pairs: [pair()],
  problems: [],
  ...more,
})

const heard = (more: Partial<NodeSummary> = {}, before?: KnownRow, nowMs = 5): KnownRow =>
  rowOf('node-1', { kind: 'answer', value: summary(more) }, before, { nowMs })

test('a row is what the agent tells, under the name of its node', () => {
  const { row, heardMs } = heard({ zone: 'a' })
  const { node: _, readiness: __, ...told } = summary({ zone: 'a' })
  assert.deepEqual(row, { ...told, name: 'node-1', state: 'ready', rack: 'a' })
  assert.equal(heardMs, 5)
})

test('nodes are grouped by rack, or else by zone', () => {
  assert.equal(heard({ zone: 'a', rack: '12' }).row.rack, 'rack 12')
  assert.equal(heard({ zone: 'a', rack: 'r-7' }).row.rack, 'r-7')
  assert.equal('rack' in heard().row, false)
})

test('what wavers from answer to answer is no change', () => {
  const before = heard()
  const rttOf = (rttMs: number): number | undefined => heard({ pairs: [pair({ rttMs })] }, before).row.pairs[0]!.rttMs
  assert.deepEqual([0.55, 0.64, 0.66, 0.3].map(rttOf), [0.5, 0.5, 0.66, 0.3])
  const sinceOf = (more: Partial<SummaryPair>): number => heard({ pairs: [pair(more)] }, before).row.pairs[0]!.sinceMs
  assert.equal(sinceOf({ sinceMs: 1_000_001 }), 1_000_000)
  assert.equal(sinceOf({ sinceMs: 1_060_000 }), 1_060_000)
  assert.equal(sinceOf({ sinceMs: 1_000_001, state: 'broken' }), 1_000_001)
})

test('a node that falls silent keeps what does not change each second, and says when it was heard', () => {
  const before = heard({ problems: [{ code: 'CW1306', object: 'o', message: 'm', how: 'h', remedy: 'r' }] })
  const silence = { kind: 'silence', message: 'no agent answers' } as const
  const first = rowOf('node-1', silence, before, { nowMs: 9 })
  assert.deepEqual(first.row, {
    ...heard().row,
    state: 'silent',
    why: 'no agent answers',
    heardMs: 5,
    pairs: [],
    problems: [],
  })
  // the row of a node that stays silent does not change either
  assert.deepEqual(rowOf('node-1', silence, first, { nowMs: 10 }), first)
  const back = heard({}, first, 11)
  assert.deepEqual(back.row, heard().row)
  const never = rowOf('node-1', silence, undefined, { nowMs: 9 })
  assert.deepEqual(never.row, {
    name: 'node-1',
    state: 'silent',
    why: 'no agent answers',
    addrs: [],
    podCIDRs: [],
    pairs: [],
    problems: [],
  })
})

test('an answer in the name of another node is none, but on a node alone, whose name only its agent knows', () => {
  const other = { kind: 'answer', value: summary({ node: 'node-9' }) } as const
  assert.equal(rowOf('node-1', other, undefined, { nowMs: 0 }).row.why, 'it answers in the name of node node-9')
  assert.equal(rowOf('this node', other, undefined, { nowMs: 0, isAlone: true }).row.name, 'node-9')
})
