import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type KubeNode } from './kubernetes.ts'
import { lackOfAgent, lifeOf } from './node-life.ts'
import { routingStateAnnotation } from './routing.ts'

const created = '2026-01-01T00:00:00Z'

function node(
  conditions: object[],
  annotations: Record<string, string> = {},
  labels: Record<string, string> = {},
): KubeNode {
  return { metadata: { name: 'n', creationTimestamp: created, annotations, labels }, status: { conditions } }
}

test('a node is ready, or has had an agent, or shows no sign of life', () => {
  const is = (status: string) => ({ type: 'Ready', status, lastTransitionTime: '2026-02-01T00:00:00Z' })
  assert.deepEqual(lifeOf(node([is('True')])), { sign: 'ready', readyChanged: '', created })
  const dead = { sign: 'none', readyChanged: '2026-02-01T00:00:00Z', created }
  assert.deepEqual(lifeOf(node([is('False')])), dead)
  assert.deepEqual(lifeOf(node([is('Unknown')])), { ...dead, isSilent: true })
  for (const status of ['False', 'Unknown']) {
    assert.equal(lifeOf(node([is(status), { type: 'NetworkUnavailable', status: 'False' }])).sign, 'agent')
    assert.equal(lifeOf(node([is(status)], { [routingStateAnnotation]: '{}' })).sign, 'agent')
  }
  assert.deepEqual(lifeOf({ metadata: { name: 'n' } }), { sign: 'none', readyChanged: '', created: '' })
})

test('an agent runs on Linux, on machines', () => {
  const lack = (labels: Record<string, string>) => lackOfAgent(node([], {}, labels))
  assert.equal(lack({}), undefined)
  assert.equal(lack({ 'kubernetes.io/os': 'linux', type: 'worker' }), undefined)
  assert.match(lack({ 'kubernetes.io/os': 'windows' })!, /windows/)
  for (const labels of [{ type: 'virtual-kubelet' }, { type: 'kwok' }, { 'eks.amazonaws.com/compute-type': 'fargate' }])
    assert.match(lack(labels)!, /virtual node/)
  const up = { type: 'NetworkUnavailable', status: 'False', reason: 'CausewayIsUp' }
  assert.equal(lackOfAgent(node([up], {}, { type: 'kwok' })), undefined)
  assert.equal(lackOfAgent(node([], { [routingStateAnnotation]: '{}' }, { type: 'kwok' })), undefined)
})
