import assert from 'node:assert/strict'
import { type ServerResponse } from 'node:http'
import { test } from 'node:test'
import { clientFor } from '#/cluster/connect.ts'
import { FakeApi, isWatch, sendJson, sendStatus } from '#/cluster/testing/fake-api.ts'
import { eventually } from '#/cluster/testing/manual-clock.ts'
import { silent } from '#/lib/log.ts'
import { ClusterSettings } from './cluster-settings.ts'

const routing = (mode: string, resourceVersion = '1', datapath?: string) => ({
  metadata: { name: 'default', uid: 'u', resourceVersion },
  spec: { mode, ...(datapath !== undefined && { datapath }) },
})

test("the cluster's routing and datapath are known once the objects were listed, and follows changes of the object", async () => {
  let watch: ServerResponse | undefined
  await using api = await FakeApi.start((request, response) => {
    if (!isWatch(request)) return sendJson(response, { metadata: { resourceVersion: '1' }, items: [routing('auto')] })
    watch = response.writeHead(200, { 'content-type': 'application/json' })
    response.flushHeaders()
  })
  let changes = 0
  const client = await clientFor(api.config)
  await using settings = new ClusterSettings({ client, onChange: () => changes++, log: silent })
  assert.deepEqual([settings.isKnown, settings.routing], [false, undefined])
  settings.start()
  await eventually(() => settings.isKnown && watch !== undefined, 'in sync')
  assert.equal(settings.routing, 'auto')
  const before = changes
  assert.ok(before > 0)
  watch!.write(`${JSON.stringify({ type: 'MODIFIED', object: routing('native', '2') })}\n`)
  await eventually(() => settings.routing === 'native', 'the other mode')
  watch!.write(`${JSON.stringify({ type: 'MODIFIED', object: routing('native', '3', 'ebpf') })}\n`)
  await eventually(() => settings.datapath === 'ebpf', 'the datapath')
  const after = changes
  assert.ok(after > before)
  // the controller tells how many nodes are as it says: that is no news to a node
  const told = { ...routing('native', '4', 'ebpf'), status: { nodes: { all: 3, applied: 1 } } }
  watch!.write(`${JSON.stringify({ type: 'MODIFIED', object: told })}\n`)
  watch!.write(`${JSON.stringify({ type: 'MODIFIED', object: routing('sideways', '5') })}\n`)
  await eventually(() => settings.problems.length === 1, 'the problem')
  assert.deepEqual([settings.routing, settings.datapath], [undefined, undefined])
  assert.equal(changes, after + 1)
  await client[Symbol.asyncDispose]()
})

test('on a cluster without the kind Routing it is known that no object sets a routing', async () => {
  await using api = await FakeApi.start((_request, response) => sendStatus(response, 404, 'NotFound'))
  const client = await clientFor(api.config)
  await using settings = new ClusterSettings({ client, onChange() {}, log: silent })
  settings.start()
  await eventually(() => settings.isKnown, 'known')
  assert.deepEqual([settings.routing, settings.problems], [undefined, []])
  await client[Symbol.asyncDispose]()
})
