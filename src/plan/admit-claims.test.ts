import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr, Prefix } from '#/lib/addr.ts'
import { type NodeState } from '#/model/network.ts'
import { admitClaims, type AdmissionContext } from './admit-claims.ts'

function contextOf(...ownCIDRs: string[]): AdmissionContext {
  return {
    self: {
      name: 'node-1',
      podCIDRs: ownCIDRs.map(Prefix.parse),
      addrs: [Addr.parse('172.30.1.11'), Addr.parse('10.9.0.1')],
    },
    connected: [
      { device: 'eth0', addr: Addr.parse('172.30.1.11'), prefix: Prefix.parse('172.30.1.0/24'), isNodeAddress: true },
      {
        device: 'docker0',
        addr: Addr.parse('10.244.7.1'),
        prefix: Prefix.parse('10.244.7.0/24'),
        isNodeAddress: false,
      },
    ],
    settings: { clusterCIDRs: ['10.0.0.0/8', '172.16.0.0/12', 'fd10:244::/48', 'fe80::/10'].map(Prefix.parse) },
  }
}

const other = (...podCIDRs: string[]): NodeState => ({
  name: 'node-2',
  podCIDRs: podCIDRs.map(Prefix.parse),
  addrs: [Addr.parse('172.30.1.12')],
})

test('what is in the cluster CIDRs and no network of nodes is admitted, and the node stays the same value', () => {
  for (const cidr of ['10.244.2.0/24', '10.244.7.0/24', '172.29.0.0/24', 'fd10:244:0:2::/64']) {
    const node = other(cidr)
    assert.equal(admitClaims(node, contextOf('10.244.1.0/24')).node, node)
  }
})

test('a pod CIDR outside of the cluster CIDRs, over the network or an address of the node, or where nothing is routed is refused', () => {
  for (const [cidr, code] of [
    ['192.168.0.0/24', 'CW1105'],
    ['2001:db8::/64', 'CW1105'],
    ['fd10::/16', 'CW1110'],
    ['0.0.0.0/0', 'CW1112'],
    ['::/0', 'CW1112'],
    ['172.30.1.0/24', 'CW1112'],
    ['172.30.0.0/16', 'CW1112'],
    ['172.30.1.128/25', 'CW1112'],
    ['10.9.0.0/24', 'CW1112'],
    ['127.0.0.0/24', 'CW1112'],
    ['169.254.42.0/24', 'CW1112'],
    ['fe80::/64', 'CW1112'],
    ['239.0.0.0/24', 'CW1112'],
    ['64:ff9b::/96', 'CW1112'],
    // site-local addresses were once assigned, and are refused by BGP alone
    ['fec0::/64', 'CW1105'],
  ] as const) {
    const { node, problems } = admitClaims(other(cidr, '10.244.2.0/24'), contextOf('10.244.1.0/24'))
    assert.deepEqual(node.podCIDRs.map(String), ['10.244.2.0/24'], cidr)
    assert.deepEqual(
      problems.map((each) => each.code),
      [code],
      cidr,
    )
  }
})

test('a former pod CIDR is held to the same, without a problem of its own', () => {
  const node = { ...other('10.244.2.0/24'), formerCIDRs: ['10.244.3.0/24', '172.30.1.0/24'].map(Prefix.parse) }
  const admitted = admitClaims(node, contextOf('10.244.1.0/24'))
  assert.deepEqual([admitted.node.formerCIDRs!.map(String), admitted.problems], [['10.244.3.0/24'], []])
})

test('where this node itself is outside of the cluster CIDRs the setting is wrong, and others go on as well', () => {
  assert.deepEqual(admitClaims(other('192.168.2.0/24'), contextOf('192.168.1.0/24')).problems, [])
})

test('an address of this node is no end of a tunnel to another, and a node without an agent has no end at all', () => {
  const twin = { ...other('10.244.2.0/24'), addrs: ['172.30.1.11', '172.30.1.12'].map(Addr.parse) }
  const { node, problems } = admitClaims(twin, contextOf('10.244.1.0/24'))
  assert.deepEqual([node.addrs.map(String), problems.map(({ code }) => code)], [['172.30.1.12'], ['CW1104']])
  const virtual = { ...twin, lacksAgent: 'it is virtual' }
  assert.deepEqual(admitClaims(virtual, contextOf('10.244.1.0/24')).problems, [])
  assert.deepEqual(admitClaims(virtual, contextOf('10.244.1.0/24')).node.addrs, [])
})
