import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Portion } from './portion.ts'

/** How many it takes until the portion is full. */
function fill(portion: Portion, ofPolicy: boolean): number {
  for (let count = 1; ; count++) {
    portion.add(ofPolicy)
    if (portion.isFull) return count
  }
}

test('a portion of policies is ten at first, of members of sets two hundred', () => {
  assert.equal(fill(new Portion(), true), 10)
  assert.equal(fill(new Portion(), false), 200)
})

test('the next is smaller when it took long, and larger when it did not', () => {
  const portion = new Portion()
  fill(portion, true)
  portion.written(16)
  assert.equal(fill(portion, true), 8)
  portion.written(2)
  assert.equal(fill(portion, true), 20)
})

test('a single pause makes it half as large at most, and it never becomes tiny or huge', () => {
  const portion = new Portion()
  fill(portion, true)
  portion.written(1000)
  assert.equal(fill(portion, true), 6)
  for (let round = 0; round < 10; round++) {
    fill(portion, true)
    portion.written(1000)
  }
  assert.equal(fill(portion, true), 5)
  for (let round = 0; round < 20; round++) {
    fill(portion, true)
    portion.written(0)
  }
  assert.equal(fill(portion, true), 100)
})

test('a small change says nothing of what fits', () => {
  const portion = new Portion()
  portion.add(true)
  portion.written(50)
  assert.equal(fill(portion, true), 10)
})
