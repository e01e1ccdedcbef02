import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prefix } from '#/lib/addr.ts'
import { type ObjectKind } from '#/model/object-kinds.ts'
import { problem } from '#/model/problems.ts'
import { type RemotePlan } from '#/plan/remote-plan.ts'
import { Isolation, isolatedAfterMs, type Surroundings } from './isolation.ts'

const routesTo = (...prefixes: readonly string[]) => ({
  isMissed: false,
  verdicts: prefixes.map((text) => ({
    way: 'native' as const,
    origin: 'direct' as const,
    nextHops: [],
    dst: Prefix.parse(text),
    node: 'other',
    reason: '',
  })),
})
/** A node to which no way leads, though one should. */
const missed = (text: string) => ({
  isMissed: true,
  verdicts: [{ way: 'none' as const, dst: Prefix.parse(text), node: 'other', reason: 'BGP tells none' }],
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
  isSettled: true,
  hasSession: false,
  ...more,
})

type Plan = Pick<RemotePlan, 'verdicts' | 'isMissed'>

const isolationOf = (of: Surroundings): string | undefined => new Isolation({ nowMs: () => 0 }).of(of)

test('a node that reaches one other node is not isolated, nor is a node without others', () => {
  assert.equal(isolationOf(surroundings({})), undefined)
  assert.equal(isolationOf(surroundings({ plans: new Map(), hasUnderlay: false })), undefined)
  const failures = [failed('route', '10.244.2.0/24'), failed('neighbour', 'fd10::/64')]
  assert.equal(isolationOf(surroundings({ failures })), undefined)
})

test('a node without an address on any device, or most of whose routes of one family the kernel refuses, is isolated', () => {
  const problems = [problem('CW1108', 'node/node-1', 'no device of this node has its address 192.0.2.1')]
  assert.match(
    isolationOf(surroundings({ hasUnderlay: false, problems }))!,
    /no device of this node has its address .* correct status\.addresses/,
  )
  const failuresOf = (...keys: string[]) => ({ failures: keys.map((key) => failed('route', key)) })
  const ofIPv4 = '2 of 2 IPv4 routes to pod CIDRs of other nodes cannot be made: 10.244.2.0/24: EPERM'
  assert.equal(isolationOf(surroundings(failuresOf('10.244.2.0/24', '10.244.3.0/24', 'fd10::/64'))), ofIPv4)
  assert.equal(isolationOf(surroundings(failuresOf('10.244.2.0/24', '10.244.3.0/24'))), ofIPv4)
  assert.match(isolationOf(surroundings(failuresOf('fd10::/64')))!, /^1 of 1 IPv6 routes /)
})

test('a node is not isolated when the others advertise no way to them', () => {
  const plans = new Map([['node-2', routesTo()]])
  assert.equal(isolationOf(surroundings({ plans, failures: [failed('route', '10.244.9.0/24')] })), undefined)
})

test('a node without a session of BGP to which no way leads to any other node is isolated, after a while', () => {
  let nowMs = 1_000
  const isolation = new Isolation({ nowMs: () => nowMs })
  const plans: Surroundings['plans'] = new Map([
    ['node-2', missed('10.244.2.0/24')],
    ['node-3', missed('10.244.3.0/24')],
  ])
  const now = (more: Partial<Surroundings> = {}): string | undefined => isolation.of(surroundings({ plans, ...more }))
  assert.equal(now(), undefined)
  nowMs += isolatedAfterMs - 1
  assert.equal(now(), undefined, 'sessions take a while')
  nowMs += 1
  assert.match(now()!, /^no way leads to any other node, and BGP has no session/)
  // whatever ends it, it begins anew
  const reasons: readonly [string, Partial<Surroundings>][] = [
    ['neighbours are there, and tell nothing', { hasSession: true }],
    ['an agent that has just started', { isSettled: false }],
    ['a single node', { plans: new Map() }],
    ['one other is reached', { plans: new Map<string, Plan>([...plans, ['node-4', routesTo('10.244.4.0/24')]]) }],
    [
      'all others are off, or have no network yet',
      { plans: new Map([['node-2', { ...missed('10.244.2.0/24'), isMissed: false }]]) },
    ],
  ]
  for (const [why, more] of reasons) {
    assert.equal(now(more), undefined, why)
    assert.equal(now(), undefined, why)
    nowMs += isolatedAfterMs
    assert.notEqual(now(), undefined, why)
  }
})
