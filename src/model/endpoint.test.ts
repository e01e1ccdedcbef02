import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpointStates, mayFollow } from './endpoint.ts'

test('an endpoint goes forward, may skip states, can leave from each, and comes back from none', () => {
  const allowed = endpointStates.map((from) => [from, endpointStates.filter((to) => mayFollow(from, to)).join(' ')])
  assert.deepEqual(allowed, [
    ['reserved', 'wired policed ready leaving'],
    ['wired', 'policed ready leaving'],
    ['policed', 'ready leaving'],
    ['ready', 'leaving'],
    ['leaving', ''],
  ])
})
