import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Allowance } from './allowance.ts'

test('work that was seldom wanted is done at once, some times; then it waits for as long as its cost asks for', () => {
  let nowMs = 1000
  const allowance = new Allowance({ share: 0.01, mostMs: 2000 }, () => nowMs)
  for (let time = 0; time < 4; time++) {
    assert.equal(allowance.waitMs, 0)
    allowance.spend(600)
  }
  assert.equal(allowance.waitMs, 40_000)
  nowMs += 39_000
  assert.equal(Math.round(allowance.waitMs), 1000)
  nowMs += 1000
  assert.equal(Math.round(allowance.waitMs), 0)
})

test('in the long run the work takes no more than its share, and nothing is saved beyond the limit', () => {
  let nowMs = 0
  let spentMs = 0
  const allowance = new Allowance({ share: 0.01, mostMs: 500 }, () => nowMs)
  nowMs = 1e9
  const beganMs = nowMs
  while (nowMs - beganMs < 1e6) {
    if (allowance.waitMs === 0) {
      allowance.spend(300)
      spentMs += 300
      nowMs += 300
    } else nowMs += 10
  }
  assert.ok(spentMs <= 0.01 * 1e6 + 500 + 300, String(spentMs))
  assert.ok(spentMs >= 0.01 * 1e6, String(spentMs))
})
