import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ObjectStatus } from '#/reconcile/status.ts'
import { notInstalledOf } from './not-installed.ts'

const failed = (kind: ObjectStatus['kind'], key: string, message = 'no'): ObjectStatus => ({
  kind,
  key,
  state: 'error',
  message,
  sinceMs: 0,
  attempts: 1,
})

const planned = new Map([['0.0.0.0/0', 'it is a default route']])
const isLearned = (prefix: string): boolean => prefix !== '10.244.9.0/24'

test('what the kernel refused or does not use is not installed, in its words, in both families', () => {
  const failures = [
    failed('route', '10.244.2.0/24', "another's route stands in the way: 10.244.2.0/24 dev eth1"),
    failed('route', 'fd10:244:0:2::/64', 'RTM_NEWROUTE: ENETDOWN'),
  ]
  assert.deepEqual(
    [...notInstalledOf({ planned, failures, isLearned })],
    [
      ['0.0.0.0/0', 'it is a default route'],
      ['10.244.2.0/24', "the kernel: another's route stands in the way: 10.244.2.0/24 dev eth1"],
      ['fd10:244:0:2::/64', 'the kernel: RTM_NEWROUTE: ENETDOWN'],
    ],
  )
})

test('other objects, routes that BGP did not tell and those that the plan passed over keep their reason', () => {
  const failures = [
    failed('link', '10.244.2.0/24'),
    failed('route', '10.244.9.0/24'),
    failed('route', '0.0.0.0/0'),
    failed('route', '10.244.2.0/24 metric 100', 'to be deleted: no'),
  ]
  const known = (prefix: string): boolean => isLearned(prefix) && !prefix.includes('metric')
  assert.equal(notInstalledOf({ planned, failures, isLearned: known }), planned)
})
