import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type PolicyNamespace, type PolicyPod } from './cluster.ts'
import { matchesPod } from './match.ts'
import { type PodMatch } from './policy.ts'

const pod: PolicyPod = {
  namespace: 'x',
  name: 'a',
  uid: 'u',
  node: 'n1',
  labels: {},
  addrs: [],
  namedPorts: [],
  isHostNetwork: false,
  hasEnded: false,
}
const namespaces = new Map<string, PolicyNamespace>([['x', { name: 'x', labels: {}, isAudited: false }]])
const all: PodMatch = { namespaces: { kind: 'labels', selector: [] }, pods: [] }

test('no selector means a pod in the network of its node, or one that has ended', () => {
  assert.equal(matchesPod(all, pod, namespaces), true)
  assert.equal(matchesPod(all, { ...pod, isHostNetwork: true }, namespaces), false)
  assert.equal(matchesPod(all, { ...pod, hasEnded: true }, namespaces), false)
})

test('a namespace that is not known is meant by its name alone', () => {
  const stranger = { ...pod, namespace: 'y' }
  assert.equal(matchesPod(all, stranger, namespaces), false)
  assert.equal(matchesPod({ ...all, namespaces: { kind: 'name', name: 'y' } }, stranger, namespaces), true)
})
