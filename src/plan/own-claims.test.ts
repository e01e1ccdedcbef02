import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type ConnectedSubnet, type NodeLife, type NodeState } from '#/model/network.ts'
import { ownClaims } from './own-claims.ts'
import { NodeWays } from './node-ways.ts'
import { RemoteNodes } from './remote-nodes.ts'
import { configOf, member, planFor } from './testing/bgp-scene.ts'

const ready = (created: string): NodeLife => ({ sign: 'ready', readyChanged: '', created })
const stranger: NodeLife = { sign: 'none', readyChanged: '', created: '' }

function node(name: string, cidrs: string[], life: NodeLife, more: Partial<NodeState> = {}): NodeState {
  return { name, podCIDRs: cidrs.map(Prefix.parse), addrs: [], life, ...more }
}

const connected: ConnectedSubnet[] = [
  { device: 'eth0', addr: Addr.parse('172.30.1.2'), prefix: Prefix.parse('172.30.1.0/24'), isNodeAddress: true },
]

/** The table that the plan of this node's network has of all others. */
function tableOf(self: NodeState, ...others: NodeState[]): RemoteNodes {
  const clusterCIDRs = ['10.244.0.0/16', 'fd10::/48'].map(Prefix.parse)
  const settings = { clusterCIDRs, vni: 1, vxlanPort: 8472, opensForwardChains: true, routing: 'vxlan' } as const
  const table = new RemoteNodes({ self, underlay: {}, ways: new NodeWays(), connected, routing: 'vxlan', settings })
  table.update(others.map((each) => [each.name, each]))
  return table
}

/** What stands of this node's claims, and why others do not. `seen` is its Node object, as others see it. */
function claims(seen: NodeState, ...others: NodeState[]): [standing: string, lost: string] {
  const { formerCIDRs: _, ...told } = seen
  const rivals = tableOf({ ...told, life: ready(seen.life?.created ?? '') }, ...others).rivalsOf(seen)
  const { standing, lost } = ownClaims(seen, rivals)
  return [standing.join(' '), lost.map(({ prefix, because }) => `${prefix}: ${because}`).join('; ')]
}

const two = node('node-2', ['10.244.2.0/24', 'fd10::/64'], ready('2026-01-01T00:00:00Z'))

test('a pod CIDR stands unless another node has the better claim to it, and that node is named', () => {
  const all = '10.244.2.0/24 fd10::/64'
  const lost = ['fd10::/64', '10.244.2.0/24: node node-1 has the better claim to it']
  assert.deepEqual(claims(two), [all, ''])
  assert.deepEqual(claims(two, node('node-1', ['10.244.1.0/24'], ready(''))), [all, ''])
  assert.deepEqual(claims(two, node('node-1', ['10.244.2.0/24'], ready('2025-01-01T00:00:00Z'))), lost)
  assert.deepEqual(claims(two, node('node-1', ['10.244.0.0/17'], ready('2026-02-01T00:00:00Z'))), [all, ''])
  // for itself it is alive; others go by what its kubelet says
  assert.deepEqual(claims({ ...two, life: stranger }, node('node-1', ['10.244.2.0/24'], ready(''))), lost)
})

test('a claim that the plan does not admit takes nothing from BGP either', () => {
  const older = ready('2025-01-01T00:00:00Z')
  for (const cidr of ['10.0.0.0/8', '10.244.0.0/16', '0.0.0.0/0'])
    assert.equal(claims(two, node('node-1', [cidr], older))[1], '', cidr)
})

test('a pod CIDR that covers the address of a node with more life is lost to that', () => {
  const addr = { addrs: [Addr.parse('10.244.2.7')] }
  const one = node('node-1', ['10.244.1.0/24'], ready('2025-01-01T00:00:00Z'), addr)
  assert.deepEqual(claims(two, one)[1], '10.244.2.0/24: it covers the address of node node-1')
})

test('a former pod CIDR is told until another node has it', () => {
  const former = node('node-4', ['10.244.4.0/24'], ready(''), { formerCIDRs: [Prefix.parse('10.244.5.0/24')] })
  assert.equal(claims(former, two)[0], '10.244.4.0/24 10.244.5.0/24')
  assert.equal(claims(former, two, node('node-5', ['10.244.5.0/24'], stranger))[0], '10.244.4.0/24')
})

test('of other nodes BGP takes only what the plan routes to them', () => {
  const self = member(1)
  const wide = { ...member(3), podCIDRs: [...member(3).podCIDRs, Prefix.parse('20.0.0.0/8')] }
  const nodes = [self, member(2), wide]
  const table = tableOf(self, member(2), wide)
  const plan = planFor(self, nodes, { podCIDRsOf: (name) => table.plans.get(name)?.podCIDRs ?? [] })
  assert.doesNotMatch(JSON.stringify(configOf(plan).peers), /20\.0\.0\.0/)
  assert.match(JSON.stringify(configOf(plan).peers), /10\.244\.3\.0/)
})
