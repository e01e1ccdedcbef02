import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ObjectKind, objectKinds } from '#/model/object-kinds.ts'
import { problem } from '#/model/problems.ts'
import { unreadKey } from '#/reconcile/reconciler.ts'
import { type ObjectStatus } from '#/reconcile/status.ts'
import { CniStatus } from '../pods/cni-status.ts'
import { type ReadinessFacts, readinessOf, unreadiness } from './readiness.ts'

const network = { podCIDRs: [], overlay: [], deviceMtuBytes: 1500 }
const facts = (more: Partial<ReadinessFacts> = {}): ReadinessFacts => ({
  nodeName: 'node-1',
  podNetwork: { kind: 'there', network },
  shortage: undefined,
  policyRefusal: undefined,
  failures: [],
  isolation: undefined,
  cuts: [],
  untoldRouting: undefined,
  passError: undefined,
  problems: [],
  ...more,
})
const failed = (kind: ObjectKind, key = 'x'): ObjectStatus => ({
  kind,
  key,
  state: 'error',
  message: 'EPERM',
  sinceMs: 0,
  attempts: 1,
})
const stateWith = (more: Partial<ReadinessFacts>) => readinessOf(facts(more)).state

test('a failed object counts as its kind says', () => {
  assert.equal(stateWith({}), 'ready')
  for (const kind of Object.keys(objectKinds) as ObjectKind[]) {
    const expected = objectKinds[kind].node === 'unready' ? 'not ready' : 'ready with problems'
    const readiness = readinessOf(facts({ failures: [failed(kind)] }))
    assert.equal(readiness.state, expected, kind)
    // a pod's own trouble is no reason to send none to this node
    assert.equal(readiness.failures.length, objectKinds[kind].node === 'pod' ? 0 : 1, kind)
  }
})

test('a kind that could not be read makes the node not ready, whatever kind it is', () => {
  for (const kind of Object.keys(objectKinds) as ObjectKind[])
    assert.equal(stateWith({ failures: [failed(kind, unreadKey)] }), 'not ready', kind)
})

test('a problem leaves the node ready, a node that is cut off or has no addresses is not', () => {
  assert.equal(stateWith({ problems: [problem('CW1201', 'node/node-2', 'no address')] }), 'ready with problems')
  assert.equal(stateWith({ isolation: '2 of 2 IPv4 routes to pod CIDRs of other nodes cannot be made' }), 'not ready')
  assert.equal(stateWith({ untoldRouting: 'its Node object does not say yet' }), 'not ready')
  assert.match(unreadiness(readinessOf(facts({ passError: 'ENOMEM' }))) ?? '', /^CW9003 node\/node-1: ENOMEM; remedy: /)
  const readiness = readinessOf(facts({ shortage: { msg: 'exhausted', details: 'delete pods' } }))
  assert.equal(readiness.state, 'not ready')
  assert.match(unreadiness(readiness) ?? '', /^CW3110 node\/node-1: exhausted: delete pods; remedy: /)
  assert.equal(unreadiness(readinessOf(facts())), undefined)
})

test('STATUS tells at once what keeps ADD from being served, and other trouble once it lasts', () => {
  let now = facts({ failures: [failed('sysctl')] })
  let nowMs = 0
  const status = new CniStatus(
    () => readinessOf(now),
    () => nowMs,
  )
  const code = (): number => {
    const reply = status.reply()
    return reply.kind === 'error' ? reply.error.code : 0
  }
  assert.equal(code(), 0)
  nowMs = 9_999
  assert.equal(code(), 0)
  nowMs = 10_000
  assert.equal(code(), 51)
  now = facts()
  assert.equal(code(), 0)
  now = facts({ isolation: 'cut off' })
  assert.equal(code(), 0, 'it begins anew')
  now = facts({ podNetwork: { kind: 'absent', why: 'no pod CIDR yet' } })
  assert.equal(code(), 50)
  now = facts({ podNetwork: { kind: 'absent', why: 'no pod CIDR yet' }, failures: [failed('route')] })
  assert.equal(code(), 51)
})

test("what of others cuts pods off makes the node not ready; what is only in some packets' way does not", () => {
  const cut = problem('CW7001', 'chain/ip filter FORWARD', 'it drops')
  const readiness = readinessOf(facts({ cuts: [cut], problems: [cut] }))
  assert.deepEqual([readiness.state, readiness.reasons], ['not ready', [cut]])
  assert.equal(stateWith({ problems: [problem('CW7003', 'chain/ip filter INPUT', 'it drops')] }), 'ready with problems')
})
