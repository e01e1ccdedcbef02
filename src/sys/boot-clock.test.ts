import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bootClock, networkCookie } from './boot-clock.ts'

test('the ids of this boot and of this network stay the same', () => {
  assert.match(bootClock().bootId, /^[0-9a-f-]{36}$/)
  assert.match(networkCookie(), /^([1-9]\d*)?$/)
  assert.equal(networkCookie(), networkCookie())
})
