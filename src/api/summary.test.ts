import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type PeerWay } from './schemas/peers.ts'
import { firstProblems, pairsOf, scarcest } from './summary.ts'

const way = (more: Partial<PeerWay>): PeerWay => ({
  node: 'node-2',
  path: 'pod',
  family: 4,
  dst: '10.244.2.1',
  way: 'vxlan',
  state: 'ok',
  sinceMs: 1000,
  windowMs: 60_000,
  small: { sizeBytes: 84, sent: 60, answered: 60 },
  rttMs: { least: 0.1, median: 0.2, most: 0.3 },
  ...more,
})

test('a pair is as bad as the worst of the ways of pods, and says which that is', () => {
  assert.deepEqual(pairsOf([way({}), way({ family: 6 }), way({ path: 'node', way: 'direct', state: 'broken' })]), [
    { to: 'node-2', state: 'ok', sinceMs: 1000, way: 'vxlan', rttMs: 0.2 },
  ])
  const lossy = way({ family: 6, state: 'lossy', sinceMs: 7, small: { sizeBytes: 84, sent: 50, answered: 40 } })
  assert.deepEqual(pairsOf([way({ node: 'node-3' }), way({}), lossy]), [
    {
      to: 'node-2',
      state: 'lossy',
      worst: { path: 'pod', family: 6 },
      sinceMs: 7,
      way: 'vxlan',
      rttMs: 0.2,
      lossShare: 0.2,
    },
    { to: 'node-3', state: 'ok', sinceMs: 1000, way: 'vxlan', rttMs: 0.2 },
  ])
  for (const [worse, better] of [
    ['broken', 'one way'],
    ['one way', 'small only'],
    ['small only', 'lossy'],
    ['lossy', 'unknown'],
    ['unknown', 'ok'],
  ] as const)
    assert.equal(pairsOf([way({ state: better }), way({ state: worse })])[0]!.state, worse)
})

test('where only nodes themselves are probed, these ways count', () => {
  const { rttMs: _, ...silent } = way({ path: 'node', way: 'direct', state: 'broken' })
  assert.deepEqual(pairsOf([{ ...silent, small: { sizeBytes: 84, sent: 7, answered: 0 } }]), [
    { to: 'node-2', state: 'broken', sinceMs: 1000, way: 'direct', lossShare: 1 },
  ])
})

test('addresses are told of the pod CIDR in which they run out first', () => {
  const row = (cidr: string, total: string, free: string) => ({ cidr, total, free, used: '0', coolingDown: '0' })
  assert.equal(scarcest([]), undefined)
  assert.deepEqual(
    scarcest([row('fd10::/64', '18446744073709551613', '18446744073709551610'), row('10.244.1.0/24', '253', '200')]),
    { cidr: '10.244.1.0/24', used: 53, total: 253 },
  )
})

test('of many problems the first are told, and how many there are', () => {
  const problems = Array.from({ length: 23 }, (_, index) => ({
    code: 'CW1306',
    object: `node/n${index}`,
    message: 'm',
    how: 'h',
    remedy: 'r',
  }))
  assert.deepEqual(firstProblems(problems.slice(0, 20)), { problems: problems.slice(0, 20) })
  assert.deepEqual(firstProblems(problems), { problems: problems.slice(0, 20), moreProblems: 3 })
})
