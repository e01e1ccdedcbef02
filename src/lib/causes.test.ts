import assert from 'node:assert/strict'
import { test } from 'node:test'
import { causeLines } from './causes.ts'

test('what fails everywhere for one reason is one line with the count and an example', () => {
  const failures = Array.from({ length: 20 }, (_, index) => ({
    subject: `node-${index + 1}`,
    text: `no agent answers on /run/node-${index + 1}/agent.sock: connect ENOENT`,
  }))
  assert.deepEqual(causeLines(failures, 'nodes'), [
    '20 nodes (node-1, node-2, node-3 and 17 more): no agent answers on /run/node-1/agent.sock: connect ENOENT',
  ])
})

test('what differs keeps a line of its own, also when one name begins with the other', () => {
  const failures = [
    { subject: 'node-1', text: 'node-1 has no address' },
    { subject: 'node-2', text: 'node-10 has no address' },
    { subject: 'node-3', text: 'node-3 has no address' },
  ]
  assert.deepEqual(causeLines(failures, 'nodes'), [
    '2 nodes (node-1, node-3): node-1 has no address',
    'node-2: node-10 has no address',
  ])
  assert.deepEqual(causeLines([], 'nodes'), [])
})

test('a subject that fails twice for one reason counts once', () => {
  const text = 'no such device'
  assert.deepEqual(
    causeLines(
      [
        { subject: 'cw-br0', text },
        { subject: 'cw-br0', text },
      ],
      'objects',
    ),
    ['cw-br0: no such device'],
  )
})
