import assert from 'node:assert/strict'
import { test } from 'node:test'
import { problem } from '#/model/problems.ts'
import { problemLines } from './problem-lines.ts'

test('what is known stands first, how and what to do below it, once for neighbours that share both', () => {
  const more = { how: 'h', remedy: 'r' }
  const problems = [
    problem('CW2008', 'route/10.244.2.0/24', 'EPERM', more),
    problem('CW2008', 'route/10.244.3.0/24', 'EPERM', more),
    problem('CW2008', 'link/cw-vxlan', 'EBUSY', more),
    problem('CW1104', 'node/node-2', 'twice', more),
  ]
  assert.deepEqual(problemLines(problems, '!'), [
    '! CW2008 2 objects (route/10.244.2.0/24, route/10.244.3.0/24): EPERM',
    '! CW2008 link/cw-vxlan: EBUSY',
    '!     known from: h',
    '!     remedy: r',
    '! CW1104 node/node-2: twice',
    '!     known from: h',
    '!     remedy: r',
  ])
  assert.ok(problemLines(problems, '#').every((line) => line.startsWith('# ')))
})
