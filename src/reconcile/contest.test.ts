import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Contests } from './contest.ts'

test('a few corrections come at once, later ones after a pause that doubles up to ten minutes', () => {
  let nowMs = 0
  const contests = new Contests(() => nowMs)
  for (let count = 1; count <= 4; count++) {
    contests.corrected('a')
    assert.equal(contests.mayCorrect('a'), true)
    assert.equal(contests.contestOf('a'), undefined)
  }
  const pauses: number[] = []
  for (let count = 5; count <= 13; count++) {
    contests.corrected('a')
    const { pauseMs } = contests.contestOf('a')!
    pauses.push(pauseMs / 1000)
    nowMs += pauseMs - 1
    assert.equal(contests.mayCorrect('a'), false)
    nowMs += 1
    assert.equal(contests.mayCorrect('a'), true)
  }
  assert.deepEqual(pauses, [10, 20, 40, 80, 160, 320, 600, 600, 600])
  assert.equal(contests.mayCorrect('b'), true, 'each chain for itself')
  nowMs += 15 * 60_000
  assert.equal(contests.contestOf('a'), undefined)
  contests.corrected('a')
  assert.equal(contests.mayCorrect('a'), true, 'it begins anew')
})
