import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bootClock, sameness } from './boot-clock.ts'

test('boot ids tell another boot from another network of the same boot; one noted without a network is of any', () => {
  assert.equal(sameness('a', 'a'), 'same')
  assert.equal(sameness('a', 'b'), 'another boot')
  assert.equal(sameness('a/net:1', 'a/net:1'), 'same')
  assert.equal(sameness('a', 'a/net:1'), 'same')
  assert.equal(sameness('a/net:1', 'a'), 'same')
  assert.equal(sameness('a/net:1', 'a/net:2'), 'another network')
  assert.equal(sameness('a/net:1', 'b/net:1'), 'another boot')
  assert.equal(sameness('', 'a/net:1'), 'another boot')
})

test('the id of this boot stays the same', () => {
  assert.match(bootClock().bootId, /^[0-9a-f-]{36}(\/net:[1-9]\d*)?$/)
  assert.equal(bootClock().bootId, bootClock().bootId)
})
