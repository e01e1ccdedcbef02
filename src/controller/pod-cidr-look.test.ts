import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prefix } from '#/lib/addr.ts'
import { type KubeNode } from '#/model/kubernetes.ts'
import { podCidrProblemsIn } from './pod-cidr-look.ts'

const node = (name: string, ...podCIDRs: readonly string[]): KubeNode => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name },
  spec: podCIDRs.length === 0 ? {} : { podCIDR: podCIDRs[0], podCIDRs },
})

const idsIn = (nodes: readonly KubeNode[], ...clusterCIDRs: readonly string[]) =>
  podCidrProblemsIn(
    nodes,
    clusterCIDRs.map((each) => Prefix.parse(each)),
  ).map(({ code, object }) => `${code} ${object}`)

test('what Node objects alone show is told as the controller tells it', () => {
  const [a, b] = [node('a', '10.244.0.0/24'), node('b', '10.244.1.0/24')]
  assert.deepEqual(idsIn([a, b], '10.244.0.0/16'), [])
  assert.deepEqual(idsIn([a, b, node('c')], '10.244.0.0/23'), ['CW1109 node/c'])
  assert.deepEqual(idsIn([a, b, node('c')], '10.244.0.0/22'), [])
  assert.deepEqual(idsIn([a, node('c', '10.244.0.0/24')], '10.244.0.0/16'), [])
  assert.deepEqual(idsIn([a, node('c', '192.168.7.0/24')], '10.244.0.0/16'), ['CW1105 node/c'])
  assert.deepEqual(idsIn([a, node('c', '10.244.0.0/16')], '10.244.0.0/16'), [])
  assert.deepEqual(idsIn([a, node('c', '10.0.0.0/8')], '10.244.0.0/16'), ['CW1110 node/c'])
  assert.deepEqual(idsIn([a], '10.244.0.0/16', 'fd10:244::/48'), ['CW1111 node/a'])
})

test('a cluster without pod CIDRs, and one smaller than the usual size, are no error', () => {
  assert.deepEqual(idsIn([], '10.244.0.0/16'), [])
  assert.deepEqual(idsIn([node('a')], '10.244.0.0/26'), [])
})
