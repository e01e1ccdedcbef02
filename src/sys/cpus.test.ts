import assert from 'node:assert/strict'
import { cpus } from 'node:os'
import { test } from 'node:test'
import { cpusOfList, possibleCpus } from './cpus.ts'

test('a list of CPUs counts ranges and single ones', () => {
  assert.equal(cpusOfList('0\n'), 1)
  assert.equal(cpusOfList('0-3\n'), 4)
  assert.equal(cpusOfList('0-1,8-11,15\n'), 7)
  assert.ok(possibleCpus() >= cpus().length)
})
