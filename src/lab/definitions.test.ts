import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect } from '#/cluster/connect.ts'
import { bgpNodesPath, bgpPeersPath } from '#/cluster/paths.ts'
import { writeKubeconfig } from './api/kubeconfig.ts'
import { TestServer } from './api/testing.ts'
import { ensureDefinitions } from './definitions.ts'

test("the API serves Causeway's kinds at once, and existing objects stay when a lab is brought up again", async () => {
  await using server = await TestServer.start()
  const kubeconfig = join(server.directory, 'kubeconfig')
  const { url, certificates, token } = server
  writeKubeconfig(kubeconfig, { server: url, ca: certificates.ca, token, name: 'lab' })
  await using client = await connect({ kubeconfig })
  await ensureDefinitions(client)
  await client.create(bgpNodesPath(), { metadata: { name: 'node-1' } })
  await ensureDefinitions(client)
  assert.deepEqual(
    (await client.list(bgpNodesPath())).items.map(({ metadata }) => metadata.name),
    ['node-1'],
  )
  assert.deepEqual((await client.list(bgpPeersPath())).items, [])
})
