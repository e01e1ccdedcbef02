import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr, Prefix } from '#/lib/addr.ts'
import { blackholeMetric, nativeMetric, overlayMetric } from '#/model/names.ts'
import { type DesiredRoute } from '#/model/network.ts'
import { RT_SCOPE_UNIVERSE, RT_TABLE_MAIN, type Route } from '#/wire/netlink/route.ts'
import { nodeAddrsIn, routeInTheWay } from './route-in-the-way.ts'

const boot = 3
const staticProtocol = 4

function found(dst: string, protocol: number): Route {
  const base = { type: 'unicast', table: RT_TABLE_MAIN, metric: 0, scope: RT_SCOPE_UNIVERSE } as const
  return { ...base, dst: Prefix.parse(dst), protocol, nextHops: [{ oif: 2 }] }
}

function native(dst: string, node?: string): DesiredRoute {
  const prefix = Prefix.parse(dst)
  const nextHops = [{ device: 'eth0', gateway: Addr.parse('172.30.1.2') }]
  return { kind: 'native', dst: prefix, metric: nativeMetric(prefix), origin: 'bgp', nextHops, ...(node && { node }) }
}

function told(route: Route, wanted: DesiredRoute, own: readonly string[] = []) {
  const nodes = nodeAddrsIn([wanted])
  return routeInTheWay(route, wanted, { text: `${route.dst} dev eth1`, nodes, own: own.map(Addr.parse) })
}

test('the remedy for a route that the kernel made is to remove its address or device, not the route', () => {
  const { message, remedy } = told(found('10.244.2.0/24', 2), native('10.244.2.0/24', 'node-2'), ['10.244.2.7'])
  assert.equal(message, "another's route stands in the way: 10.244.2.0/24 dev eth1")
  assert.match(remedy!, /^do not delete that route: .*remove it or the device; else give node node-2 another pod CIDR/)
})

test('a route that the node lives on is not to be deleted, whoever made it', () => {
  for (const protocol of [2, boot, staticProtocol, 12, 16, 77]) {
    const cases: [string, string[]][] = [
      ['0.0.0.0/0', []],
      ['::/0', []],
      // the subnet of the other nodes, and one with an address of this node
      ['172.30.0.0/16', []],
      ['192.0.2.0/24', ['192.0.2.7']],
    ]
    for (const [dst, own] of cases) {
      const { remedy } = told(found(dst, protocol), native(dst), own)
      assert.match(remedy!, /^do not delete that route/, `${dst} proto ${protocol}`)
      assert.doesNotMatch(remedy!, /route del/)
    }
  }
})

test('no remedy deletes a route that another program keeps; any other route is to be deleted only if nothing needs it', () => {
  assert.match(
    told(found('10.9.0.0/16', 12), native('10.9.0.0/16')).remedy!,
    /have BGP not tell 10\.9\.0\.0\/16, .*BIRD/,
  )
  assert.doesNotMatch(told(found('10.9.0.0/16', 12), native('10.9.0.0/16')).remedy!, /route del/)
  const plain = /^if nothing uses that route.*: ip route del 10\.9\.0\.0\/16 dev eth1; else/
  assert.match(told(found('10.9.0.0/16', staticProtocol), native('10.9.0.0/16', 'node-2')).remedy!, plain)
  assert.match(
    told(found('fd09::/64', boot), native('fd09::/64', 'node-2')).remedy!,
    /ip -6 route del fd09::\/64 dev eth1/,
  )
  const dst = Prefix.parse('10.9.0.0/16')
  const blackhole = told(found('10.9.0.0/16', boot), { kind: 'blackhole', dst, metric: blackholeMetric })
  assert.match(blackhole.remedy!, /else give this node another pod CIDR/)
})

test('a route that drops packets is no way to anybody: nothing lives on it', () => {
  for (const type of ['blackhole', 'unreachable', 'prohibit'] as const) {
    const cases: [string, string[]][] = [
      ['172.30.0.0/16', []],
      ['192.0.2.0/24', ['192.0.2.7']],
      ['0.0.0.0/0', []],
    ]
    for (const [dst, own] of cases) {
      const { remedy } = told({ ...found(dst, boot), type, nextHops: [] }, native(dst), own)
      assert.match(remedy!, /^if nothing uses that route, .* ip route del /, `${type} ${dst}`)
    }
    const kept = told({ ...found('172.30.0.0/16', 12), type, nextHops: [] }, native('172.30.0.0/16'))
    assert.match(kept.remedy!, /BIRD, not make that route/)
  }
})

test('the ends of tunnels count as addresses of nodes', () => {
  const [src, end] = [Addr.parse('172.30.1.1'), Addr.parse('172.30.1.2')]
  const dst = Prefix.parse('10.244.2.0/24')
  const overlay: DesiredRoute = {
    kind: 'overlay',
    dst,
    metric: overlayMetric(dst),
    device: 'cw-vxlan',
    gateway: Addr.parse('169.254.42.1'),
    mtuBytes: 1400,
    encap: { vni: 1, src, dst: end },
    node: 'node-2',
  }
  assert.deepEqual(nodeAddrsIn([overlay]), [src, end])
})
