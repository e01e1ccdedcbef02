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

test('the next is larger when it took little, and smaller when it took long, but never less than at first', () => {
  const portion = new Portion()
  fill(portion, true)
  portion.written(2)
  assert.equal(fill(portion, true), 25)
  portion.written(20)
  assert.equal(fill(portion, true), 18)
  for (let round = 0; round < 10; round++) {
    portion.written(1000)
    fill(portion, true)
  }
  portion.written(1000)
  assert.equal(fill(portion, true), 10)
})

test('it does not become huge', () => {
  const portion = new Portion()
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
