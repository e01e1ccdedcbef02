import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Looked, mostUnaskedNodes, nextLookMs, usualWaits } from './next-look.ts'

const nodes = 3
const well: Looked = { endedMs: 1_000_000, tookMs: 4_000, outcome: 'well' }
const wrong: Looked = { ...well, outcome: 'wrong' }
const failed: Looked = { ...well, outcome: 'failed' }
const large = mostUnaskedNodes + 1
const afterEnd = (ms: number): number => well.endedMs + ms

test('who begins to look sees what is wrong then, but not sooner than a pause after the last one', () => {
  assert.equal(nextLookMs({ nodes, isFirst: true }), -Infinity)
  assert.equal(nextLookMs({ nodes, isFirst: true, looked: well }), afterEnd(usualWaits.pauseMs))
  assert.equal(nextLookMs({ nodes: large, isFirst: true }), Infinity)
})

test('what agents tell anew is waited for until it has settled', () => {
  const changedMs = afterEnd(100_000)
  assert.equal(nextLookMs({ nodes, changedMs, looked: well }), changedMs + usualWaits.settleMs)
  assert.equal(nextLookMs({ nodes, changedMs: afterEnd(1_000), looked: well }), afterEnd(usualWaits.pauseMs))
  assert.equal(nextLookMs({ nodes: large, changedMs, looked: well }), Infinity)
})

test('a lost trace shows what no agent may have told', () => {
  const lostMs = afterEnd(100_000)
  assert.equal(nextLookMs({ nodes, lostMs, looked: well }), lostMs)
  assert.equal(nextLookMs({ nodes, lostMs: afterEnd(1_000), looked: well }), afterEnd(usualWaits.pauseMs))
  assert.equal(nextLookMs({ nodes: large, lostMs, looked: well }), Infinity)
})

test('what doctor alone has seen is looked at again, since nobody else tells when it has ended or begun', () => {
  assert.equal(nextLookMs({ nodes, looked: wrong }), afterEnd(60_000))
  assert.equal(nextLookMs({ nodes, looked: failed }), afterEnd(60_000))
  assert.equal(nextLookMs({ nodes, looked: well }), afterEnd(300_000))
  assert.equal(nextLookMs({ nodes: mostUnaskedNodes, looked: well }), afterEnd(300_000))
  // what comes first counts
  assert.equal(nextLookMs({ nodes, changedMs: afterEnd(59_000), looked: wrong }), afterEnd(60_000))
})

test('in a large cluster only findings are looked at again, and for a tenth of the time at most', () => {
  assert.equal(nextLookMs({ nodes: large, looked: well }), Infinity)
  assert.equal(nextLookMs({ nodes: large, looked: failed }), Infinity)
  assert.equal(nextLookMs({ nodes: large, looked: wrong }), afterEnd(60_000))
  assert.equal(nextLookMs({ nodes: large, looked: { ...wrong, tookMs: 30_000 } }), afterEnd(270_000))
  assert.equal(nextLookMs({ nodes, looked: { ...well, tookMs: 60_000 } }), afterEnd(540_000))
})
