// What follows for a node that does not hear from the API.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { diagnose } from './diagnose.ts'
import { clusterOf, told } from './testing/answers.ts'
import { findingsOf, short } from './testing/findings.ts'

test('what an agent does not know for want of the API follows from what keeps the API from it', () => {
  const held = (pod: string) => told('CW3301', `pod/default/${pod}`, 'its labels are not known')
  const cut = clusterOf(2, [['node-1', held('a'), held('b')]]).map((each) =>
    each.node === 'node-1' && each.status !== undefined
      ? { ...each, status: { ...each.status, api: { ...each.status.api, phase: 'backoff' as const } } }
      : each,
  )
  assert.deepEqual(
    diagnose(cut, []).findings.map(({ code, explains }) => [code, explains.length]),
    [['CW6002', 2]],
  )
  assert.deepEqual(findingsOf([['node-1', held('a'), told('CW8104', 'device/eth0', 'no carrier')]]).map(short), [
    ['CW8104 device/eth0', 1],
  ])
  assert.deepEqual(
    findingsOf([
      ['node-1', held('a')],
      ['node-2', told('CW8104', 'device/eth0', 'no carrier')],
    ]).map(short),
    [
      ['CW8104 device/eth0', 0],
      ['CW3301 pod/default/a', 0],
    ],
  )
})
