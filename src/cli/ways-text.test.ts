import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type PeerWay } from '#/api/schemas/peers.ts'
import { waysLines } from './ways-text.ts'

const nowMs = 1_700_000_000_000
const way = (state: PeerWay['state']): PeerWay => ({
  node: 'node-2',
  path: 'pod',
  family: 4,
  dst: '10.244.2.1',
  way: 'vxlan',
  state,
  sinceMs: nowMs - 4_000,
  windowMs: 60_000,
  small: { sizeBytes: 84, sent: 60, answered: 51 },
})
const well = { isOn: true, nodes: 8, ways: 32, ok: 32, rttMs: 0.213, others: [] }

test('ways that are well are one line, and each of the others has one', () => {
  assert.deepEqual(waysLines(well, nowMs), ['ways: 32 of 32 answer, 8 nodes asked; p50 0.21 ms'])
  const others = [way('broken'), way('lossy'), way('unknown')]
  assert.deepEqual(waysLines({ ...well, nodes: 1, ways: 4, ok: 1, rttMs: 42.4, others }, nowMs), [
    'ways: 1 of 4 answer, 1 not known, 1 node asked; p50 42 ms',
    '  node-2 pod IPv4 vxlan 10.244.2.1: broken for 4s',
    '  node-2 pod IPv4 vxlan 10.244.2.1: lossy for 4s, 9 of 60 lost',
  ])
})

test('where nobody is asked, that is told', () => {
  assert.deepEqual(waysLines({ isOn: true, nodes: 0, ways: 0, ok: 0, others: [] }, nowMs), [
    'ways: no other node to ask',
  ])
  assert.match(waysLines({ ...well, isOn: false }, nowMs)[0]!, /are not probed \(CAUSEWAY_PROBE_INTERVAL_S=0\)$/)
})
