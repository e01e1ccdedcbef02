import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type NodeState, type PortState } from '#/model/network.ts'
import { type Routing } from '#/model/routing.ts'
import { type PlannedDatapath } from './datapath-plan.ts'
import { planNetwork } from './network.ts'
import { NodeWays } from './node-ways.ts'
import { RemoteNodes } from './remote-nodes.ts'
import { linkWay } from './testing/link-way.ts'

const settings = {
  clusterCIDRs: ['10.244.0.0/16', 'fd10:244::/48'].map(Prefix.parse),
  vni: 7,
  vxlanPort: 8472,
  opensForwardChains: true,
  routing: 'vxlan' as const,
}

const programs: PlannedDatapath = {
  podDevice: 'pods0',
  hasPrograms: true,
  plan: () => ({ sysctls: [], links: [], addresses: [] }),
}

function node(name: string, podCIDRs: readonly string[], addrs: readonly string[]): NodeState {
  return { name, podCIDRs: podCIDRs.map(Prefix.parse), addrs: addrs.map(Addr.parse) }
}

const one = node('node-1', ['10.244.1.0/24', 'fd10:244:0:1::/64'], ['172.30.1.11'])

function port(name: string, more: Partial<PortState> = {}): PortState {
  const addrs = [Addr.parse('10.244.1.2')]
  return { name, pod: `default/${name}`, datapath: 'ebpf', podCIDRs: [], addrs, mac: '0a:58:0a:f4:01:02', ...more }
}

type Scene = { others?: NodeState[]; ports?: PortState[]; routing?: Routing; datapath?: PlannedDatapath }

function plan({ others = [], ports = [], routing = 'vxlan', datapath = programs }: Scene = {}) {
  const underlay = { 4: 1500 }
  const ways = new NodeWays([linkWay('172.30.1.0/24')])
  const remoteNodes = new RemoteNodes({ self: one, underlay, ways, connected: [], routing, settings })
  remoteNodes.update(others.map((each) => [each.name, each]))
  const input = { remoteNodes, isComplete: true, keepsOverlay: false, underlay, ports, datapaths: [datapath], settings }
  return planNetwork(input).network.bpf
}

/** Owner and way of each prefix. */
function waysIn(bpf: NonNullable<ReturnType<typeof plan>>): Record<string, string> {
  return Object.fromEntries(bpf.nodes.map(({ prefix, owner, way }) => [String(prefix), `${owner} ${way}`]))
}

test('programs are asked for only by a datapath that has them', () => {
  const { hasPrograms: _, ...bridge } = programs
  assert.equal(plan({ datapath: bridge }), undefined)
  assert.ok(plan())
})

test('every pod CIDR and every address of a node is an entry with its owner, the own ones too', () => {
  const two = node('node-2', ['10.244.2.0/24', 'fd10:244:0:2::/64'], ['172.30.1.12'])
  const bpf = plan({ others: [two] })!
  assert.deepEqual(waysIn(bpf), {
    '10.244.1.0/24': 'node-1 local',
    'fd10:244:0:1::/64': 'node-1 local',
    '172.30.1.11/32': 'node-1 none',
    '10.244.2.0/24': 'node-2 tunnel4',
    'fd10:244:0:2::/64': 'node-2 tunnel4',
    '172.30.1.12/32': 'node-2 none',
  })
  const tunnel = bpf.nodes.find(({ prefix }) => String(prefix) === '10.244.2.0/24')
  assert.deepEqual(JSON.parse(JSON.stringify(tunnel)), {
    prefix: '10.244.2.0/24',
    owner: 'node-2',
    way: 'tunnel4',
    src: '172.30.1.11',
    dst: '172.30.1.12',
    mtuBytes: 1450,
    vtepMac: '02:43:57:ff:ff:ff',
  })
  assert.deepEqual(bpf.ends.map(({ addr, owner }) => `${addr} ${owner}`).toSorted(), [
    '172.30.1.11 node-1',
    '172.30.1.12 node-2',
  ])
})

test('native ways, ways by the stack, and the MTU of each are those of the routes', () => {
  const two = node('node-2', ['10.244.2.0/24'], ['172.30.1.12'])
  const away = node('node-3', ['10.244.3.0/24'], [])
  const bpf = plan({ others: [two, away], routing: 'auto' })!
  assert.equal(waysIn(bpf)['10.244.2.0/24'], 'node-2 native')
  assert.equal(waysIn(bpf)['10.244.3.0/24'], 'node-3 none')
  assert.deepEqual(
    bpf.attachments.filter(({ device }) => !device.startsWith('cw')).map(({ device, program }) => [device, program]),
    [['eth0', 'cw_from_underlay']],
  )
})

test('a pod that still has the bridge is marked, and gets its programs all the same', () => {
  const ingress = { rateBytesPerSecond: 1, burstBytes: 1, limitBytes: 1 }
  const bpf = plan({ ports: [port('cwv1'), port('cwv2', { datapath: 'bridge', ingress })] })!
  assert.deepEqual(
    bpf.pods.map(({ device, isBridged, isLimited }) => [device, isBridged, isLimited]),
    [
      ['cwv1', false, false],
      ['cwv2', true, true],
    ],
  )
  assert.deepEqual(
    bpf.attachments.map(({ device, hook, program }) => `${device} ${hook} ${program}`),
    [
      'cwv1 egress cw_to_pod',
      'cwv1 ingress cw_from_pod',
      'cwv2 egress cw_to_pod',
      'cwv2 ingress cw_from_pod',
      'cw-vxlan ingress cw_from_tunnel',
    ],
  )
})
