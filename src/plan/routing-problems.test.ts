import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type NodeState } from '#/model/network.ts'
import { NodeWays } from './node-ways.ts'
import { RemoteNodes } from './remote-nodes.ts'
import { routingProblems } from './routing-problems.ts'

const node = (number: number): NodeState => ({
  name: `node-${number}`,
  podCIDRs: [Prefix.parse(`10.244.${number}.0/24`)],
  addrs: [Addr.parse(`172.30.${number}.1`)],
})

test('the tunnel in place of a native way is one problem, which stays the same while nodes come and go', () => {
  const settings = {
    clusterCIDRs: [Prefix.parse('10.244.0.0/16')],
    vni: 1,
    vxlanPort: 8472,
    opensForwardChains: true,
    routing: 'native',
  } as const
  const peers = new RemoteNodes({
    self: node(1),
    underlay: { 4: 1500 },
    connected: [],
    ways: new NodeWays(),
    routing: 'native',
    settings,
  })
  const told = (): string =>
    routingProblems(peers, { strictDevices: [], stoppedDevices: [], deadDevices: [], isSettled: true })
      .map(({ object, message }) => `${object}: ${message}`)
      .join()
  const seen = [2, 3, 4, 5, 6].map((number) => {
    peers.update([[`node-${number}`, node(number)]])
    return told()
  })
  assert.match(
    seen[0]!,
    /^node\/node-1: routing is native, but VXLAN is used to 10\.244\.2\.0\/24 of node-2, where BGP/,
  )
  assert.match(
    seen[3]!,
    /to 10\.244\.2\.0\/24 of node-2, 10\.244\.3\.0\/24 of node-3, 10\.244\.4\.0\/24 of node-4 and others,/,
  )
  assert.equal(seen[4], seen[3])
  assert.equal(
    routingProblems(peers, { strictDevices: [], stoppedDevices: [], deadDevices: [], isSettled: false }).length,
    0,
  )
})
