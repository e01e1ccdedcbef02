import assert from 'node:assert/strict'
import { test } from 'node:test'
import { datapathSource, effective, type Sayings, type Source } from './precedence.ts'

const says = (more: Partial<Sayings<string>>) =>
  Object.values(
    effective({ node: undefined, cluster: undefined, isClusterKnown: true, before: undefined, agent: 'a', ...more }),
  ).join(' by ')

test('the node goes before the cluster, the cluster before the agent', () => {
  assert.equal(says({}), 'a by agent')
  assert.equal(says({ cluster: 'c' }), 'c by cluster')
  assert.equal(says({ cluster: 'c', node: 'n' }), 'n by node')
  assert.equal(says({ node: 'n' }), 'n by node')
})

test("what counted before the start does until the cluster's object is known, unless an object sets another value", () => {
  assert.equal(says({ before: 'b' }), 'a by agent')
  assert.equal(says({ before: 'b', isClusterKnown: false }), 'b by before')
  assert.equal(says({ before: 'b', isClusterKnown: false, cluster: 'c' }), 'c by cluster')
  assert.equal(says({ before: 'b', isClusterKnown: false, node: 'n' }), 'n by node')
  assert.equal(says({ isClusterKnown: false }), 'a by agent')
})

test('messages can say where the datapath of a node is set', () => {
  const sources: readonly Source[] = ['node', 'cluster', 'before', 'agent']
  assert.deepEqual(sources.map(datapathSource), [
    'annotation causeway.dev/datapath of the Node object',
    'spec.datapath of Routing default',
    'what held before the agent started',
    'CAUSEWAY_DATAPATH',
  ])
})
