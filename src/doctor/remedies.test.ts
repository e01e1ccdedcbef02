import assert from 'node:assert/strict'
import { test } from 'node:test'
import { joinedRemedies } from './remedies.ts'

test('remedies that differ in their commands alone are one text with all commands', () => {
  const of = (command: string) =>
    `if nothing uses that route, remove it, and with: ${command}; else give node-2 another pod CIDR`
  assert.equal(
    joinedRemedies([
      of('ip route del blackhole 10.244.1.0/25 metric 5'),
      of('ip -6 route del blackhole fd10:244:0:1::/65 metric 5'),
    ]),
    `${of('ip route del blackhole 10.244.1.0/25 metric 5')}; for the others alike: ip -6 route del blackhole fd10:244:0:1::/65 metric 5`,
  )
  assert.equal(joinedRemedies(['do this', 'do this', 'do that']), 'do this; do that')
  assert.equal(joinedRemedies(['delete pod 1', 'delete pod 2']), 'delete pod 1')
})
