import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr, Prefix } from '#/lib/addr.ts'
import { NodeWays } from './node-ways.ts'
import { type RemoteContext } from './remote-plan.ts'
import { RemoteNodes } from './remote-nodes.ts'

test('no BGP route is installed that cuts off pods with addresses of a former pod CIDR of this node', () => {
  const context: RemoteContext = {
    self: { name: 'node-1', podCIDRs: [Prefix.parse('10.244.1.0/24')], addrs: [Addr.parse('172.30.1.1')] },
    underlay: { 4: 1500 },
    ways: new NodeWays(),
    connected: [
      { device: 'eth0', addr: Addr.parse('172.30.1.1'), prefix: Prefix.parse('172.30.1.0/24'), isNodeAddress: true },
    ],
    routing: 'native',
    settings: {
      clusterCIDRs: [Prefix.parse('10.244.0.0/16')],
      vni: 1,
      vxlanPort: 8472,
      opensForwardChains: true,
      routing: 'native',
    },
    formerCIDRs: [Prefix.parse('10.244.9.0/24')],
  }
  const peers = new RemoteNodes(context)
  const prefix = Prefix.parse('10.244.9.128/25')
  const nextHops = [{ addr: Addr.parse('172.30.1.9') }]
  peers.updateLearned([{ prefix, route: { prefix, nextHops, peers: ['tor'], isAllowed: false, isStale: false } }])
  assert.deepEqual(peers.otherRoutes, [])
  assert.match(peers.notInstalled.get('10.244.9.128/25')!, /^it overlaps 10\.244\.9\.0\/24, a pod CIDR of this node/)
  // its last pod is gone
  const { formerCIDRs: _, ...without } = context
  Array.from(peers.changeContext(without, 50))
  assert.equal(peers.otherRoutes.length, 1)
})
