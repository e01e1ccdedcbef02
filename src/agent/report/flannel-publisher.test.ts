import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { silent } from '#/lib/log.ts'
import { flannelEndOf } from '#/model/flannel.ts'
import { type KubeNode } from '#/model/kubernetes.ts'
import { deviceMac, vxlanName } from '#/model/names.ts'
import { flannelPublisher } from './flannel-publisher.ts'

type Written = { path: string; body: { metadata: { annotations: Record<string, string> } } }

function scene(annotations: Record<string, string>) {
  const written: Written[] = []
  let node: KubeNode = {
    metadata: { name: 'node-1', annotations },
    status: { addresses: [{ type: 'InternalIP', address: '172.30.1.11' }] },
  }
  const client = {
    patch: async <T>(path: string, body: unknown): Promise<T> => {
      const { metadata } = body as Written['body']
      written.push({ path, body: { metadata } })
      node = { ...node, metadata: { ...node.metadata, annotations: { ...annotations, ...metadata.annotations } } }
      return node as T
    },
  }
  const clock = new ManualClock()
  const publisher = flannelPublisher(1, { client, node: () => node, log: silent, clock, random: () => 0 })
  return { written, publisher, clock, node: () => node }
}

test('a node without annotations gets those that flannel reads, once', async () => {
  const { written, publisher, clock, node } = scene({ other: 'stays' })
  await using _publisher = publisher
  publisher.notice()
  await clock.advance(10_000)
  publisher.notice()
  await clock.advance(10_000)
  assert.equal(written.length, 1)
  assert.equal(written[0]!.path, '/api/v1/nodes/node-1/status')
  const { end } = flannelEndOf(node())!
  assert.deepEqual(end.vtepMacs, { 4: deviceMac(vxlanName, 'node-1') })
  assert.deepEqual(end.publicAddrs.map(String), ['172.30.1.11'])
})

test('annotations that flannel left are replaced, and no others are written', async () => {
  const { written, publisher, clock } = scene({
    'flannel.alpha.coreos.com/kube-subnet-manager': 'true',
    'flannel.alpha.coreos.com/backend-type': 'vxlan',
    'flannel.alpha.coreos.com/backend-data': '{"VNI":1,"VtepMAC":"9e:00:00:00:00:03"}',
    'flannel.alpha.coreos.com/public-ip': '172.30.1.11',
  })
  await using _publisher = publisher
  publisher.notice()
  await clock.advance(10_000)
  assert.deepEqual(
    written.map(({ body }) => Object.keys(body.metadata.annotations)),
    [['flannel.alpha.coreos.com/backend-data']],
  )
})
