import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type LearnedRoute, type NextHop } from '#/model/bgp.ts'
import { type ConnectedSubnet, type KernelWay } from '#/model/network.ts'
import { admitOther, admitPodCIDR, type Admission, type GuardContext } from './guard.ts'

function subnet(device: string, text: string, isNodeAddress: boolean): ConnectedSubnet {
  const [addr, length] = text.split('/') as [string, string]
  return { device, addr: Addr.parse(addr), prefix: new Prefix(Addr.parse(addr), Number(length)), isNodeAddress }
}

const context: GuardContext = {
  ownCIDRs: ['10.244.1.0/24', 'fd10:244:0:1::/64'].map(Prefix.parse),
  clusterCIDRs: ['10.244.0.0/16', 'fd10:244::/48'].map(Prefix.parse),
  connected: [
    subnet('eth0', '172.30.1.1/24', true),
    subnet('eth0', 'fd30::1/64', true),
    subnet('eth1', '192.0.2.1/24', false),
  ],
  kernelWays: new Map<string, KernelWay>([
    ['203.0.113.9', { kind: 'reached', hops: [{ device: 'eth1', gateway: Addr.parse('192.0.2.254') }] }],
    ['203.0.113.8', { kind: 'reached', hops: [{ device: 'eth1', gateway: Addr.parse('192.0.2.254') }] }],
    ['203.0.113.7', { kind: 'reached', hops: [{ device: 'eth0', gateway: Addr.parse('203.0.113.7'), onlink: true }] }],
    ['198.51.100.1', { kind: 'not reached', why: 'this node has no route to it' }],
  ]),
  nodeAddrs: [Addr.parse('10.244.200.7')],
}

/** "192.0.2.9" or "fe80::1%eth0". */
function hop(text: string): NextHop {
  const [addr, device] = text.split('%') as [string, string | undefined]
  return { addr: Addr.parse(addr), ...(device !== undefined && { device }) }
}

function route(prefix: string, hops: string[], isAllowed: boolean): LearnedRoute {
  return { prefix: Prefix.parse(prefix), nextHops: hops.map(hop), peers: ['tor'], isAllowed, isStale: false }
}

const said = (admission: Admission): string =>
  admission.kind === 'refused'
    ? admission.reason
    : admission.nextHops
        .map(({ gateway, device, onlink }) => `via ${gateway} dev ${device}${onlink === true ? ' onlink' : ''}`)
        .join(' ')

const others: readonly [prefix: string, byChance: RegExp, allowed: RegExp][] = [
  ['10.244.64.0/18', /^via 172/, /^via 172/],
  ['fd10:244:0:80::/60', /^via fd30::9/, /^via fd30::9/],
  ['10.244.1.0/24', /^it overlaps 10\.244\.1\.0\/24, a pod CIDR of this node$/, /^it overlaps 10\.244\.1\.0\/24/],
  ['10.244.1.128/25', /^it overlaps 10\.244\.1\.0\/24/, /^it overlaps 10\.244\.1\.0\/24/],
  ['10.244.1.9/32', /^it overlaps 10\.244\.1\.0\/24/, /^it overlaps 10\.244\.1\.0\/24/],
  ['10.244.0.0/16', /^it overlaps 10\.244\.1\.0\/24/, /^via 172/],
  ['0.0.0.0/0', /^it is a default route; an import policy whose rule names the prefix allows it$/, /^via 172/],
  ['::/0', /^it is a default route/, /^via fd30/],
  ['172.30.0.0/16', /^it overlaps 172\.30\.1\.0\/24, the network of the nodes on eth0; an import policy/, /^via 172/],
  ['172.30.1.128/25', /^it overlaps 172\.30\.1\.0\/24/, /^via 172/],
  ['203.0.113.0/24', /^it lies outside of the cluster CIDRs \(10\.244\.0\.0\/16, fd10:244::\/48\); an/, /^via 172/],
  ['10.0.0.0/9', /^it lies outside of the cluster CIDRs/, /^via 172/],
  ['10.244.192.0/18', /^it covers 10\.244\.200\.7, the address of a node/, /^via 172/],
]

for (const [prefix, byChance, allowed] of others) {
  test(`${prefix} is no node's pod CIDR: by chance and by permission`, () => {
    const hops = [prefix.includes(':') ? 'fd30::9' : '172.30.1.9']
    assert.match(said(admitOther(route(prefix, hops, false), context)), byChance)
    assert.match(said(admitOther(route(prefix, hops, true), context)), allowed)
  })
}

const hops: readonly [prefix: string, hops: string[], said: string][] = [
  ['10.244.2.0/24', ['192.0.2.9'], 'via 192.0.2.9 dev eth1'],
  ['10.244.2.0/24', ['172.30.1.8', '172.30.1.9'], 'via 172.30.1.8 dev eth0 via 172.30.1.9 dev eth0'],
  ['10.244.2.0/24', ['172.30.1.8', '198.51.100.1'], 'via 172.30.1.8 dev eth0'],
  ['10.244.2.0/24', ['fd30::9'], 'via fd30::9 dev eth0'],
  ['10.244.2.0/24', ['fe80::9%eth2'], 'via fe80::9 dev eth2'],
  ['10.244.2.0/24', [], 'it has no next hop'],
  ['10.244.2.0/24', ['198.51.100.1'], 'its next hop 198.51.100.1 is not reached: this node has no route to it'],
  [
    '10.244.2.0/24',
    ['198.51.100.2'],
    'its next hop 198.51.100.2 is not reached: the kernel is about to be asked for it',
  ],
  ['10.244.2.0/24', ['203.0.113.9'], 'via 192.0.2.254 dev eth1'],
  ['10.244.2.0/24', ['203.0.113.8', '203.0.113.9'], 'via 192.0.2.254 dev eth1'],
  ['10.244.2.0/24', ['203.0.113.7'], 'via 203.0.113.7 dev eth0 onlink'],
  ['10.244.2.0/24', ['172.30.1.1'], 'its next hop 172.30.1.1 is this node itself'],
  ['10.244.2.0/24', ['fe80::9'], 'its next hop fe80::9 is link-local, and it is not known on which device'],
  ['10.244.2.0/24', ['fe80::9%cw-br0'], 'its next hop fe80::9 is on cw-br0, where pods are'],
  ['10.244.2.0/24', ['0.0.0.0'], "its next hop 0.0.0.0 is no neighbour's address"],
  ['10.244.2.0/24', ['127.0.0.1'], "its next hop 127.0.0.1 is no neighbour's address"],
  ['10.244.2.0/24', ['ff02::1%eth0'], "its next hop ff02::1 is no neighbour's address"],
  ['fd10:244:0:2::/64', ['172.30.1.9'], 'its next hop 172.30.1.9 is IPv4, over which IPv6 has no way'],
]

for (const [prefix, some, wanted] of hops) {
  test(`next hops of ${prefix}: ${some.join(', ') || 'none'}`, () => {
    assert.equal(said(admitPodCIDR(route(prefix, some, false), context)), wanted)
  })
}

test("another node's pod CIDR may lie outside of the cluster CIDRs, but not be the network of the nodes", () => {
  assert.match(said(admitPodCIDR(route('192.168.7.0/24', ['172.30.1.9'], false), context)), /^via/)
  assert.match(said(admitPodCIDR(route('172.30.0.0/16', ['172.30.1.9'], false), context)), /^it overlaps 172/)
  assert.match(said(admitPodCIDR(route('172.30.0.0/16', ['172.30.1.9'], true), context)), /^via/)
})

test('that the owner of a pod CIDR is reached over a router does not say that the router knows the CIDR; a policy may', () => {
  const owner = [Addr.parse('203.0.113.9')]
  const admitted = (isAllowed: boolean, ...of: string[]) =>
    admitPodCIDR(route('10.244.2.0/24', of, isAllowed), context, owner)
  const over = admitted(false, '203.0.113.9')
  assert.ok(over.kind === 'admitted')
  assert.equal(String(over.router), '192.0.2.254')
  const sure = [
    admitted(true, '203.0.113.9'),
    admitted(false, '172.30.1.9'),
    admitted(false, '203.0.113.9', '172.30.1.9'),
  ]
  assert.deepEqual(sure.map(said), ['via 192.0.2.254 dev eth1', 'via 172.30.1.9 dev eth0', 'via 172.30.1.9 dev eth0'])
  assert.ok(sure.every((each) => each.kind === 'admitted' && each.router === undefined))
})

test('a next hop that a router of the own AS passed on names next-hop-self where it is not reached', () => {
  const passedOn = {
    ...route('10.244.2.0/24', [], false),
    nextHops: [{ addr: Addr.parse('198.51.100.1'), isPassedOn: true }],
  }
  assert.match(
    said(admitOther(passedOn, context)),
    /is not reached: this node has no route to it; have .*\(next-hop-self\)/,
  )
})

const anyAddr = fc.oneof(
  fc.nat(0xffff_ffff).map((value) => new Addr(4, BigInt(value))),
  fc.nat(0xffff).map((low) => Addr.parse(`172.30.${low >> 8}.${low & 0xff}`)),
  fc.nat(0xffff).map((low) => Addr.parse(`10.244.${low >> 8}.${low & 0xff}`)),
)

test("of any routes, none within this node's pod CIDRs is admitted, and without a policy that names them only those for the cluster CIDRs", () => {
  const anyRoute = fc.record({
    prefix: fc.tuple(anyAddr, fc.nat(32)).map(([addr, length]) => new Prefix(addr, length)),
    nextHops: fc.array(
      anyAddr.map((addr) => ({ addr })),
      { maxLength: 3 },
    ),
    peers: fc.constant(['tor']),
    isAllowed: fc.boolean(),
    isStale: fc.boolean(),
  })
  fc.assert(
    fc.property(anyRoute, (each) => {
      const admission = admitOther(each, context)
      if (admission.kind === 'refused') return
      const { prefix, isAllowed } = each
      assert.ok(!context.ownCIDRs.some((own) => own.contains(prefix)))
      if (!isAllowed) {
        assert.ok(context.clusterCIDRs.some((cidr) => cidr.contains(prefix)))
        const nodeNetworks = context.connected.filter(({ isNodeAddress }) => isNodeAddress)
        const spared = [...context.ownCIDRs, ...nodeNetworks.map((on) => on.prefix)]
        assert.ok(!spared.some((own) => own.overlaps(prefix)))
      }
      assert.ok(admission.nextHops.length > 0)
      for (const { gateway, device } of admission.nextHops) {
        assert.ok(context.connected.some((on) => on.device === device && on.prefix.contains(gateway)))
        assert.ok(!context.connected.some(({ addr }) => addr.equals(gateway)))
      }
    }),
    { numRuns: 2000 },
  )
})
