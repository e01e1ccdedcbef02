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
  assert.equal(chooseNode(pod('b', {}), nodes, pods), 'node-2')
  assert.equal(chooseNode(pod('b', {}), nodes, [...pods, pod('c', { nodeName: 'node-2' })]), 'node-1')
  assert.equal(chooseNode(pod('b', { nodeSelector: { zone: 'b' } }), nodes, []), 'node-2')
  assert.equal(chooseNode(pod('b', { nodeSelector: { zone: 'x' } }), nodes, []), undefined)
})
