import assert from 'node:assert/strict'
import { test } from 'node:test'
import { routingFrom } from '#/model/bgp-objects.ts'
import { type RoutingState } from '#/model/routing.ts'
import { routingTold } from './routing-status.ts'
import { type StatusNode } from './status-node.ts'
import { nodeOf, objectOf } from './testing.ts'

/** The condition Applied of a Routing. */
function applied(mode: string | undefined, nodes: readonly StatusNode[], name = 'default'): string {
  const read = routingFrom([objectOf(name, { mode })])
  const { status, reason, message } = routingTold(read, read.problems, nodes).conditions[1]!
  return `${status} ${reason}: ${message}`
}

test('a Routing says on how many nodes it is applied: as the kernel is, not as they are told', () => {
  const vxlan: RoutingState = { mode: 'vxlan', sends: ['vxlan'], accepts: ['vxlan', 'native'] }
  const onTheWay: RoutingState = { mode: 'native', sends: ['vxlan', 'native'], accepts: ['vxlan', 'native'] }
  const nodes = [
    nodeOf('n1'),
    nodeOf('n2', { routingState: vxlan }),
    nodeOf('n3', { routingState: onTheWay }),
    nodeOf('n4', { routingState: undefined }),
  ]
  assert.equal(
    applied('native', nodes),
    'False NotOnAllNodes: native on 1 of 4 nodes; not on n2 (still vxlan), n3 (it sends by vxlan as well), n4 (no agent has told how it sends)',
  )
  assert.equal(applied('native', nodes.slice(0, 1)), 'True OnAllNodes: native on 1 node')
  assert.match(applied('auto', [nodeOf('n1', { routingState: { ...onTheWay, mode: 'auto' } })]), /^True/)
  assert.match(applied('vxlan', [nodeOf('n1', { routingState: vxlan, isSilent: true })]), /kubelet tells nothing/)
  assert.match(applied('vxlan', [nodeOf('n1', { ownRouting: 'native' })]), /^True .*1 node with one of its own/)
  assert.match(applied(undefined, nodes), /^True AsAgentsAreSet/)
  assert.match(applied('vxlan', nodes, 'other'), /^False NotAccepted: no node looks at this object/)
})

/** The numbers of nodes of a Routing with this datapath, and its condition DatapathApplied. */
function datapathApplied(datapath: string | undefined, nodes: readonly StatusNode[], name = 'default'): string {
  const read = routingFrom([objectOf(name, { datapath })])
  const { nodes: counts, conditions } = routingTold(read, read.problems, nodes)
  const { type, status, reason, message } = conditions[2]!
  assert.equal(type, 'DatapathApplied')
  return `${JSON.stringify(Object.values(counts ?? {}))} ${status} ${reason}: ${message}`
}

test('a Routing says on how many nodes pods have its datapath, and why not on the others', () => {
  const nodes = [
    nodeOf('n1', { datapathState: { name: 'ebpf' } }),
    nodeOf('n2'),
    nodeOf('n3', { datapathState: { name: 'bridge', why: 'no bpffs (CW3201)' } }),
    nodeOf('n4', { datapathState: undefined }),
    nodeOf('n5', { datapathState: { name: 'ebpf' }, isSilent: true }),
    nodeOf('n6', { ownDatapath: 'bridge' }),
    nodeOf('n7', { canHaveAgent: false }),
  ]
  assert.equal(
    datapathApplied('ebpf', nodes),
    '[6,6,5,1] False NotOnAllNodes: ebpf on 1 of 5 nodes; not on n2 (still bridge), n3 (bridge: no bpffs (CW3201)), n4 (no agent has told its datapath), n5 (its kubelet tells nothing); 1 node with one of its own (annotation causeway.dev/datapath)',
  )
  assert.equal(datapathApplied('ebpf', nodes.slice(0, 1)), '[1,1,1,1] True OnAllNodes: ebpf on 1 node')
  assert.equal(
    datapathApplied(undefined, nodes.slice(0, 2)),
    '[2,2,2,2] True AsAgentsAreSet: spec.datapath is not set: each node has the datapath that its agent is set to',
  )
  assert.equal(datapathApplied('ebpf', nodes, 'other'), '[] False NotAccepted: no node looks at this object')
})
