// What is made of a node's kernel state beside what flannel tells, of states as flannel leaves them and of broken ones.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Link } from '#/kernel/links.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type FlannelNode, flannelNodeOf } from '#/model/flannel.ts'
import { flannelWays } from '#/plan/flannel-ways.ts'
import { NUD_PERMANENT } from '#/wire/netlink/neigh.ts'
import { RT_SCOPE_UNIVERSE, RT_TABLE_MAIN, type Route } from '#/wire/netlink/route.ts'
import { compareFlannel } from './compare.ts'
import { type FlannelState } from './kernel-state.ts'

const prefix = 'flannel.alpha.coreos.com'

function nodeOf(number: number, backend: string | undefined = 'vxlan'): FlannelNode {
  const annotations = backend && {
    [`${prefix}/backend-type`]: backend,
    [`${prefix}/backend-data`]: `{"VNI":1,"VtepMAC":"9e:00:00:00:00:0${number}"}`,
    [`${prefix}/public-ip`]: `172.30.1.${number}`,
  }
  const spec = { podCIDRs: [`10.244.${number}.0/24`] }
  return flannelNodeOf({ metadata: { name: `node-${number}`, ...(annotations && { annotations }) }, spec })
}

const link = (index: number, name: string, more: Partial<Link> = {}): Link => ({
  index,
  name,
  kind: '',
  mac: '02:00:00:00:00:01',
  mtuBytes: 1500,
  isUp: true,
  hasCarrier: true,
  hasQueue: true,
  hasNoArp: false,
  isEthernet: true,
  ...more,
})

const tunnel = link(2, 'flannel.1', {
  kind: 'vxlan',
  mac: '9e:00:00:00:00:01',
  mtuBytes: 1450,
  vxlan: { id: 1, port: 8472, external: false, local: Addr.parse('172.30.1.1') },
})

const route = (dst: string, oif: number, gateway: string): Route => ({
  dst: Prefix.parse(dst),
  type: 'unicast',
  protocol: 3,
  table: RT_TABLE_MAIN,
  metric: 0,
  scope: RT_SCOPE_UNIVERSE,
  nextHops: [{ oif, gateway: Addr.parse(gateway) }],
})

/** Of node-1, as flannel makes it, with node-2. */
const healthy: FlannelState = {
  links: [link(1, 'eth0'), tunnel, link(3, 'cni0', { kind: 'bridge', mtuBytes: 1450 })],
  addresses: [
    { index: 1, addr: Addr.parse('172.30.1.1'), prefixLength: 24, isPermanent: true },
    { index: 3, addr: Addr.parse('10.244.1.1'), prefixLength: 24, isPermanent: true },
  ],
  routes: [route('10.244.2.0/24', 2, '10.244.2.0')],
  neighbours: [{ index: 2, state: NUD_PERMANENT, addr: Addr.parse('10.244.2.0'), mac: '9e:00:00:00:00:02' }],
  fdb: [{ index: 2, mac: '9e:00:00:00:00:02', dst: Addr.parse('172.30.1.2'), origin: 'own' }],
}

function compared(change: Partial<FlannelState> = {}, others = [nodeOf(2)], self = nodeOf(1)) {
  const { verdicts, objects, problems } = compareFlannel(
    self,
    flannelWays(self, others),
    { ...healthy, ...change },
    true,
  )
  return {
    ways: verdicts.map(({ way, reason }) => `${way}: ${reason}`),
    objects: objects.map(({ kind, problem }) => `${kind} ${problem?.code ?? 'done'}`),
    problems: problems.map(({ code, object }) => `${code} ${object}`),
  }
}

test('what flannel makes is as it should be', () => {
  assert.deepEqual(compared(), {
    ways: ["vxlan: flannel's backend vxlan"],
    objects: ['route done', 'neighbour done', 'fdb done'],
    problems: [],
  })
})

test('with DirectRouting a node on the same link is reached by its address, and nothing else is wanted', () => {
  const direct = { routes: [route('10.244.2.0/24', 1, '172.30.1.2')], neighbours: [], fdb: [] }
  assert.deepEqual(compared(direct), {
    ways: ["native: flannel's backend vxlan with DirectRouting"],
    objects: ['route done'],
    problems: [],
  })
})

test('host-gw wants the route alone, and needs no device of its own', () => {
  const [self, other] = [nodeOf(1, 'host-gw'), nodeOf(2, 'host-gw')]
  const found = compared({ links: healthy.links.filter(({ name }) => name !== 'flannel.1'), routes: [] }, [other], self)
  assert.deepEqual(found.problems, ['CW6501 route/10.244.2.0/24'])
  const right = { routes: [route('10.244.2.0/24', 1, '172.30.1.2')] }
  assert.deepEqual(compared(right, [other], self).problems, [])
})

test('what is missing or leads elsewhere is told with a command that mends it', () => {
  const [neighbour] = healthy.neighbours
  const [entry] = healthy.fdb
  const cases: [Partial<FlannelState>, string[]][] = [
    [{ routes: [] }, ['CW6501 route/10.244.2.0/24']],
    [{ routes: [route('10.244.2.0/24', 2, '10.244.9.0')] }, ['CW6501 route/10.244.2.0/24']],
    [{ neighbours: [] }, ['CW6502 neighbour/10.244.2.0']],
    [{ neighbours: [{ ...neighbour!, mac: '9e:00:00:00:00:09' }] }, ['CW6502 neighbour/10.244.2.0']],
    [{ fdb: [] }, ['CW6503 fdb/9e:00:00:00:00:02']],
    [{ fdb: [{ ...entry!, dst: Addr.parse('172.30.1.9') }] }, ['CW6503 fdb/9e:00:00:00:00:02']],
  ]
  for (const [change, expected] of cases) {
    assert.deepEqual(compared(change).problems, expected)
    const self = nodeOf(1)
    const { problems } = compareFlannel(self, flannelWays(self, [nodeOf(2)]), { ...healthy, ...change }, true)
    assert.match(problems[0]!.remedy, /until then: (ip|bridge) /)
  }
})

test('a device that is gone is one problem, whatever went with it', () => {
  const nothing = { routes: [], neighbours: [], fdb: [] }
  const without = { ...nothing, links: healthy.links.filter(({ name }) => name !== 'flannel.1') }
  assert.deepEqual(compared(without).problems, ['CW6504 device/flannel.1'])
  const change = (more: Partial<Link>) => ({
    links: healthy.links.map((each) => (each.name === 'flannel.1' ? { ...each, ...more } : each)),
  })
  for (const fault of [{ isUp: false }, { mac: '9e:00:00:00:00:09' }, { mtuBytes: 1500 }])
    assert.deepEqual(compared(change(fault)).problems, ['CW6504 device/flannel.1'], JSON.stringify(fault))
})

test('a node of which flannel tells nothing, or another backend, has no way that is known', () => {
  const found = compared({}, [nodeOf(2), nodeOf(3, 'wireguard'), nodeOf(4, '')])
  assert.deepEqual(found.problems, ['CW6507 node/node-3', 'CW6507 node/node-4'])
  assert.deepEqual(found.ways.slice(1), [
    'none: what its backend wireguard makes is not known here',
    'none: flannel has written no backend-type on its Node object',
  ])
})
