import assert from 'node:assert/strict'
import { test } from 'node:test'
import { effectiveRouting, type RoutingSayings } from './precedence.ts'

const says = (more: Partial<RoutingSayings>) =>
  effectiveRouting({
    node: undefined,
    cluster: undefined,
    isClusterKnown: true,
    told: undefined,
    agent: 'vxlan',
    ...more,
  })

test('the node goes before the cluster, the cluster before the agent', () => {
  assert.equal(says({}), 'vxlan')
  assert.equal(says({ cluster: 'auto' }), 'auto')
  assert.equal(says({ cluster: 'auto', node: 'native' }), 'native')
  assert.equal(says({ node: 'native' }), 'native')
})

test("the routing that the node published last counts until the cluster's object is known, unless an object sets one", () => {
  assert.equal(says({ told: 'native' }), 'vxlan')
  assert.equal(says({ told: 'native', isClusterKnown: false }), 'native')
  assert.equal(says({ told: 'native', isClusterKnown: false, cluster: 'auto' }), 'auto')
  assert.equal(says({ told: 'native', isClusterKnown: false, node: 'vxlan' }), 'vxlan')
  assert.equal(says({ isClusterKnown: false }), 'vxlan')
})
