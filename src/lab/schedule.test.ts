import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type KubeNode, type Pod } from '#/model/kubernetes.ts'
import { chooseNode } from './schedule.ts'

function node(name: string, ready: string, spec = {}, labels = {}): KubeNode {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels },
    spec,
    status: { conditions: [{ type: 'Ready', status: ready }] },
  }
}

function pod(name: string, spec: Record<string, unknown>): Pod {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default' }, spec }
}

test('a pod goes to the ready node with the fewest pods; cordoned ones and other labels do not count', () => {
  const nodes = [
    node('node-1', 'True'),
    node('node-2', 'True', {}, { zone: 'b' }),
    node('node-3', 'False'),
    node('node-4', 'True', { unschedulable: true }),
  ]
  const pods = [pod('a', { nodeName: 'node-1' })]
  const chosen = (spec: Record<string, unknown>, others = pods): string => {
    const choice = chooseNode(pod('b', spec), nodes, others)
    return choice.kind === 'node' ? choice.name : choice.message
  }
  assert.equal(chosen({}), 'node-2')
  assert.equal(chosen({}, [...pods, pod('c', { nodeName: 'node-2' })]), 'node-1')
  assert.equal(chosen({ nodeSelector: { zone: 'b' } }), 'node-2')
  assert.equal(
    chosen({ nodeSelector: { zone: 'x' } }),
    "0/4 nodes are available: 1 node(s) were not ready, 1 node(s) were unschedulable, 2 node(s) didn't match Pod's node affinity/selector.",
  )
  const affinity = (...nodeSelectorTerms: object[]) => ({
    affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } },
  })
  assert.equal(chosen(affinity({ matchExpressions: [{ key: 'zone', operator: 'Exists' }] })), 'node-2')
  assert.equal(
    chosen(affinity({}, { matchFields: [{ key: 'metadata.name', operator: 'In', values: ['node-1'] }] })),
    'node-1',
  )
  assert.match(chosen(affinity({ matchExpressions: [{ key: 'zone', operator: 'Gt', values: ['1'] }] })), /^0\/4 /)
})

test('a taint keeps pods away that do not tolerate it', () => {
  const taints = [{ key: 'a', value: 'b', effect: 'NoSchedule' }]
  const nodes = [node('node-1', 'True', { taints })]
  const chosen = (...tolerations: object[]) => chooseNode(pod('p', { tolerations }), nodes, [])
  const refused = {
    kind: 'none',
    message: '0/1 nodes are available: 1 node(s) had untolerated taint {a: b}.',
  }
  assert.deepEqual(chosen(), refused)
  assert.deepEqual(chosen({ key: 'a', value: 'c' }), refused)
  assert.deepEqual(chosen({ key: 'a', operator: 'Exists', effect: 'NoExecute' }), refused)
  for (const toleration of [{ operator: 'Exists' }, { key: 'a', operator: 'Exists' }, { key: 'a', value: 'b' }])
    assert.deepEqual(chosen(toleration), { kind: 'node', name: 'node-1' })
  const soft = [node('node-1', 'True', { taints: [{ key: 'a', effect: 'PreferNoSchedule' }] })]
  assert.deepEqual(chooseNode(pod('p', {}), soft, []), { kind: 'node', name: 'node-1' })
  assert.deepEqual(chooseNode(pod('p', {}), [], []), {
    kind: 'none',
    message: 'no nodes available to schedule pods',
  })
})
