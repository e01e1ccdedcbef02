import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type PeerWay } from '#/api/schemas/peers.ts'
import { type EndpointStatus, type VerdictStatus } from '#/api/schemas/status.ts'
import { crossingOf, sideOf } from './crossing.ts'

const verdict = (node: string, more: Partial<VerdictStatus> = {}): VerdictStatus => ({
  podCIDR: '10.244.2.0/24',
  node,
  way: 'vxlan',
  reason: 'the routing is vxlan',
  mtuBytes: 1450,
  tunnel: { src: '172.30.1.11', dst: '172.30.1.12', gateway: '10.244.2.0' },
  ...more,
})

const probe = (node: string, more: Partial<PeerWay> = {}): PeerWay => ({
  node,
  path: 'pod',
  family: 4,
  dst: '10.244.2.1',
  way: 'vxlan',
  state: 'ok',
  sinceMs: 0,
  windowMs: 60_000,
  small: { sizeBytes: 84, sent: 60, answered: 60 },
  ...more,
})

const endpoint = (pod: string, state: EndpointStatus['state']): EndpointStatus => ({
  pod,
  containerId: 'c',
  ifName: 'eth0',
  hostDevice: 'cwv1',
  addrs: [],
  state,
  datapath: 'ebpf',
})

test('both nodes say how packets cross, each of the other one alone', () => {
  const verdicts = [
    verdict('b'),
    verdict('b', {
      podCIDR: 'fd10::/64',
      way: 'native',
      reason: 'BGP tells it',
      nextHops: [
        { device: 'eth0', gateway: 'fd30::1' },
        { device: 'eth1', gateway: 'fd31::1' },
      ],
    }),
    verdict('c'),
  ]
  const there = sideOf('a', 'b', {
    status: {
      verdicts,
      datapath: { wanted: 'ebpf', wantedBy: 'x', name: 'ebpf' },
      endpoints: [endpoint('default/going', 'leaving'), endpoint('default/web', 'ready')],
    },
    probes: [
      probe('b'),
      probe('b', { family: 6, state: 'broken' }),
      probe('b', { path: 'node', state: 'broken' }),
      probe('c'),
    ],
  })
  const back = sideOf('b', 'a', { probes: [], silence: 'no agent answers' })
  const crossing = crossingOf(there, back)
  assert.deepEqual(
    [crossing.there.verdicts.length, crossing.there.probes.length, crossing.there.datapath, crossing.there.pod],
    [2, 3, 'ebpf', 'default/web'],
  )
  assert.deepEqual(crossing.back, { node: 'b', verdicts: [], probes: [], silence: 'no agent answers' })
})
