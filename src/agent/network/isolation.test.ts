import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prefix } from '#/lib/addr.ts'
import { type ObjectKind } from '#/model/object-kinds.ts'
import { problem } from '#/model/problems.ts'
import { isolationOf, type Surroundings } from './isolation.ts'

const routesTo = (...prefixes: readonly string[]) => ({
  verdicts: prefixes.map((text) => ({
    way: 'native' as const,
    origin: 'direct' as const,
    nextHops: [],
    dst: Prefix.parse(text),
    node: 'other',
    reason: '',
  })),
})
const failed = (kind: ObjectKind, key: string) => ({
  kind,
  key,
  state: 'error' as const,
  message: 'EPERM',
  sinceMs: 0,
  attempts: 1,
})
const surroundings = (more: Partial<Surroundings>): Surroundings => ({
  plans: new Map([
    ['node-2', routesTo('10.244.2.0/24')],
    ['node-3', routesTo('10.244.3.0/24', 'fd10::/64')],
  ]),
  hasUnderlay: true,
  problems: [],
  failures: [],
  ...more,
})

test('a node that reaches one other node is not isolated, nor is a node without others', () => {
  assert.equal(isolationOf(surroundings({})), undefined)
  assert.equal(isolationOf(surroundings({ plans: new Map(), hasUnderlay: false })), undefined)
  const failures = [
    failed('route', '10.244.2.0/24'),
    failed('route', '10.244.3.0/24'),
    failed('neighbour', 'fd10::/64'),
  ]
  assert.equal(isolationOf(surroundings({ failures })), undefined)
})

test('a node without an address on any device, or without any route that the kernel accepts, is isolated', () => {
  const problems = [problem('CW1108', 'node/node-1', 'no device of this node has its address 192.0.2.1')]
  assert.match(
    isolationOf(surroundings({ hasUnderlay: false, problems }))!,
    /no device of this node has its address .* correct status\.addresses/,
  )
  const failures = ['10.244.2.0/24', '10.244.3.0/24', 'fd10::/64'].map((key) => failed('route', key))
  assert.equal(isolationOf(surroundings({ failures })), 'no route to another node can be made: 10.244.2.0/24: EPERM')
})

test('a node is not isolated when the others advertise no way to them', () => {
  const plans = new Map([['node-2', routesTo()]])
  assert.equal(isolationOf(surroundings({ plans, failures: [failed('route', '10.244.9.0/24')] })), undefined)
})
