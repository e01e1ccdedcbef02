// Who the ends of a trace are by what a bundle tells.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AgentStatus } from '#/api/schemas/status.ts'
import { type NamespaceFacts, type NodeFacts } from '#/api/schemas/facts.ts'
import { endsOf } from './ends.ts'
import { type ToldNode } from './told-node.ts'

const endpoint = { containerId: '', ifName: 'eth0', state: 'ready', datapath: 'bridge' } as const

/** Node 1 or 2, with one pod and an address on the link of both; what it knows of the nodes 2 and 3. */
function told(number: number): ToldNode {
  const addresses = [{ device: 'eth0', addr: `172.30.1.${number}`, prefixLength: 24 }]
  const status = {
    node: `node-${number}`,
    podCIDRs: [`10.244.${number}.0/24`],
    verdicts: [2, 3].map((other) => ({
      podCIDR: `10.244.${other}.0/24`,
      node: `node-${other}`,
      way: 'none',
      reason: 'r',
    })),
    endpoints: [{ ...endpoint, pod: `default/${number}`, hostDevice: 'h', addrs: [`10.244.${number}.2`] }],
  } as unknown as AgentStatus
  const namespaces = [{ addresses } as unknown as NamespaceFacts]
  return { node: status.node, status, facts: { namespaces } as unknown as NodeFacts }
}

test('an address is of a pod, of a node, of a pod CIDR that some node has, or of nobody', () => {
  const all = [told(1), told(2)]
  const to = (addr: string): unknown => {
    const found = endsOf(all, 'node-1', 'default/1', addr)
    return typeof found === 'string' ? found : found.pairs[0]?.to
  }
  assert.deepEqual(to('10.244.2.2'), { addr: '10.244.2.2', pod: 'default/2', node: 'node-2' })
  assert.deepEqual(to('172.30.1.2'), { addr: '172.30.1.2', node: 'node-2' })
  assert.deepEqual(to('10.244.2.1'), { addr: '10.244.2.1', node: 'node-2' })
  assert.deepEqual(to('10.244.2.77'), { addr: '10.244.2.77', cidrNode: 'node-2' })
  assert.deepEqual(to('10.244.1.77'), { addr: '10.244.1.77', cidrNode: 'node-1' })
  // of a node that tells nothing itself
  assert.deepEqual(to('10.244.3.77'), { addr: '10.244.3.77', cidrNode: 'node-3' })
  assert.deepEqual(to('10.245.0.1'), { addr: '10.245.0.1' })
})
