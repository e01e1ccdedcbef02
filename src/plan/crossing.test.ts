import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr, type Family } from '#/lib/addr.ts'
import { type DesiredHop, type NodeState } from '#/model/network.ts'
import { type Routing, routings } from '#/model/routing.ts'
import { chooseCrossing, directHop } from './crossing.ts'
import { NodeWays } from './node-ways.ts'
import { linkWay } from './testing/link-way.ts'

const learned: readonly DesiredHop[] = [{ device: 'eth0', gateway: Addr.parse('172.30.1.101') }]
const overRouters: readonly DesiredHop[] = [{ device: 'eth0', gateway: Addr.parse('172.30.1.102') }]
const direct: DesiredHop = { device: 'eth0', gateway: Addr.parse('172.30.1.2') }

/** Per combination of ways, what each routing chooses. "tunnel": one can be built, "taken": the other node takes VXLAN. */
const table: readonly [ways: string, chosen: Record<Routing, string>][] = [
  ['', { vxlan: 'none', native: 'none', auto: 'none' }],
  ['tunnel', { vxlan: 'none', native: 'none', auto: 'none' }],
  ['taken', { vxlan: 'none', native: 'none', auto: 'none' }],
  ['tunnel taken', { vxlan: 'vxlan', native: 'vxlan', auto: 'vxlan' }],
  ['direct', { vxlan: 'direct', native: 'direct', auto: 'direct' }],
  ['direct tunnel', { vxlan: 'direct', native: 'direct', auto: 'direct' }],
  ['direct taken', { vxlan: 'direct', native: 'direct', auto: 'direct' }],
  ['direct tunnel taken', { vxlan: 'vxlan', native: 'direct', auto: 'direct' }],
  ['learned', { vxlan: 'bgp', native: 'bgp', auto: 'bgp' }],
  ['learned tunnel', { vxlan: 'bgp', native: 'bgp', auto: 'bgp' }],
  ['learned taken', { vxlan: 'bgp', native: 'bgp', auto: 'bgp' }],
  ['learned tunnel taken', { vxlan: 'vxlan', native: 'bgp', auto: 'bgp' }],
  ['learned direct', { vxlan: 'bgp', native: 'bgp', auto: 'bgp' }],
  ['learned direct tunnel', { vxlan: 'bgp', native: 'bgp', auto: 'bgp' }],
  ['learned direct taken', { vxlan: 'bgp', native: 'bgp', auto: 'bgp' }],
  ['learned direct tunnel taken', { vxlan: 'vxlan', native: 'bgp', auto: 'bgp' }],
  ['routers', { vxlan: 'bgp', native: 'bgp', auto: 'bgp' }],
  ['routers tunnel', { vxlan: 'bgp', native: 'bgp', auto: 'bgp' }],
  ['routers tunnel taken', { vxlan: 'vxlan', native: 'vxlan', auto: 'vxlan' }],
  ['routers direct tunnel taken', { vxlan: 'vxlan', native: 'direct', auto: 'direct' }],
  ['routers learned', { vxlan: 'bgp', native: 'bgp', auto: 'bgp' }],
]

for (const [ways, chosen] of table) {
  test(`which way with: ${ways || 'nothing'}`, () => {
    const has = new Set(ways.split(' '))
    for (const routing of routings) {
      const crossing = chooseCrossing(routing, {
        learned: has.has('learned') ? learned : undefined,
        overRouters: has.has('routers') ? overRouters : undefined,
        direct: has.has('direct') ? direct : undefined,
        canTunnel: has.has('tunnel'),
        takesTunnel: has.has('taken'),
      })
      assert.equal(crossing.kind === 'native' ? crossing.origin : crossing.kind, chosen[routing], routing)
      if (crossing.kind === 'native')
        assert.deepEqual(
          crossing.nextHops,
          crossing.origin === 'direct' ? [direct] : has.has('learned') ? learned : overRouters,
        )
    }
  })
}

/** The addresses of this node tell nothing of its links. */
const self: NodeState = { name: 'a', podCIDRs: [], addrs: ['172.30.1.1', 'fd30::1'].map(Addr.parse) }
const ways = new NodeWays([
  linkWay('172.30.1.0/24'),
  linkWay('172.30.1.77/32', { kind: 'router' }),
  linkWay('172.30.3.0/24', { kind: 'router' }),
  linkWay('172.30.3.7/32', { device: 'eth2', needsOnlink: true }),
  linkWay('0.0.0.0/0', { kind: 'router' }),
  linkWay('192.0.2.0/24', { device: 'eth1', isFromNode: false }),
  linkWay('fd30::/64'),
])

const cases: readonly [what: string, addrs: string[], inner: Family, hop: string | undefined][] = [
  ['a node of the same subnet', ['172.30.1.2'], 4, '172.30.1.2 dev eth0'],
  ['one of several addresses that is', ['10.9.9.9', '172.30.1.2'], 4, '172.30.1.2 dev eth0'],
  ['a node of another subnet', ['172.30.2.2'], 4, undefined],
  ['a link that is not of the addresses that nodes know', ['192.0.2.2'], 4, undefined],
  ['a node of the subnet that is behind a router all the same', ['172.30.1.77'], 4, undefined],
  ['a node of another subnet that is on a link', ['172.30.3.7'], 4, '172.30.3.7 dev eth2 onlink'],
  ['another node of that subnet', ['172.30.3.8'], 4, undefined],
  ['IPv4 pods over both families: that of the pods', ['fd30::2', '172.30.1.2'], 4, '172.30.1.2 dev eth0'],
  ['IPv4 pods over IPv6 alone', ['fd30::2'], 4, 'fd30::2 dev eth0'],
  ['IPv6 pods over IPv4 alone', ['172.30.1.2'], 6, undefined],
  ['IPv6 pods over IPv6', ['fd30::2'], 6, 'fd30::2 dev eth0'],
  ['this node’s own address', ['172.30.1.1'], 4, undefined],
  ['a node without addresses', [], 4, undefined],
]

for (const [what, addrs, inner, wanted] of cases) {
  test(`straight to ${what}: ${wanted ?? 'no way'}`, () => {
    const peer: NodeState = { name: 'b', podCIDRs: [], addrs: addrs.map(Addr.parse) }
    const hop = directHop(peer, self, inner, ways)
    assert.equal(hop && `${hop.gateway} dev ${hop.device}${hop.onlink ? ' onlink' : ''}`, wanted)
  })
}
