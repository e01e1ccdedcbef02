// A status of an observer gives the ways that the observer itself predicts by.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AgentStatus } from '#/api/schemas/status.ts'
import { flannelViewOf } from './flannel.ts'

const status = (more: Partial<AgentStatus>): AgentStatus => ({
  node: 'node-1',
  pid: 1,
  podCIDRs: [],
  readiness: { state: 'ready', reasons: [] },
  api: { phase: 'watching', restarts: 0, inSync: true, nodes: 2 },
  objects: [],
  verdicts: [],
  endpoints: [],
  problems: [],
  ...more,
})
const observes = { network: 'flannel', backend: 'vxlan', vni: 7, port: 8472, podDevice: 'cni0' } as const
const common = { node: 'node-2', reason: 'r' }

test('a status gives the ways of flannel, and of a node with Causeway none', () => {
  assert.equal(flannelViewOf(status({})), undefined)
  const tunnel = { src: '172.30.1.1', dst: '172.30.1.2', gateway: '10.244.2.0', vtepMac: '9e:00:00:00:00:02' }
  const verdicts: AgentStatus['verdicts'] = [
    { ...common, podCIDR: '10.244.2.0/24', way: 'vxlan', tunnel },
    {
      ...common,
      podCIDR: '10.244.3.0/24',
      way: 'native',
      origin: 'direct',
      nextHops: [{ device: '', gateway: '172.30.1.3' }],
    },
    { ...common, podCIDR: '10.244.4.0/24', way: 'none' },
  ]
  const view = flannelViewOf(status({ observes, verdicts }))!
  assert.deepEqual([view.device(4), view.device(6)], ['flannel.7', 'flannel-v6.7'])
  assert.deepEqual(
    view.ways().map((way) => [way.kind, String(way.cidr), way.kind === 'unknown' ? way.why : String(way.remote)]),
    [
      ['vxlan', '10.244.2.0/24', '172.30.1.2'],
      ['direct', '10.244.3.0/24', '172.30.1.3'],
      ['unknown', '10.244.4.0/24', 'r'],
    ],
  )
})
