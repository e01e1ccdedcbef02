import assert from 'node:assert/strict'
import { test } from 'node:test'
import { conntrackProblem } from './conntrack-room.ts'

const told = (count: string | undefined, max: string | undefined) =>
  conntrackProblem('node-1', (path) => (path.endsWith('_count') ? count : max))?.message

test('a table of connections that is nearly full is a problem, one that nobody tells of is none', () => {
  assert.equal(told('262144', '262144'), '262144 of 262144 entries are in use')
  assert.equal(told('95', '100'), '95 of 100 entries are in use')
  assert.equal(told('94', '100'), undefined)
  assert.equal(told('5', '0'), undefined, 'no limit')
  assert.equal(told(undefined, undefined), undefined)
})
