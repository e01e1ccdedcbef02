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

test('texts that differ in an address alone have one cause', () => {
  const noRoute = (prefix: string) => `no route to ${prefix}: no address family in common`
  const failures = [
    { subject: 'node/node-5', text: noRoute('10.244.1.0/24') },
    { subject: 'node/node-5', text: noRoute('fd10:244:0:f::/64') },
    { subject: 'node/node-6', text: noRoute('::/0') },
    { subject: 'node/node-7', text: 'connect ECONNREFUSED 172.30.1.1:6443' },
    { subject: 'node/node-8', text: 'connect ECONNREFUSED [fd30::1]:6443' },
    { subject: 'node/node-9', text: 'connect ETIMEDOUT 172.30.1.1:6443' },
  ]
  assert.deepEqual(causeLines(failures, 'objects'), [
    '2 objects (node/node-5, node/node-6): no route to 10.244.1.0/24: no address family in common',
    'node/node-7: connect ECONNREFUSED 172.30.1.1:6443',
    'node/node-8: connect ECONNREFUSED [fd30::1]:6443',
    'node/node-9: connect ETIMEDOUT 172.30.1.1:6443',
  ])
})
