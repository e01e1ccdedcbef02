// The cluster client against this API when the API is away for a minute and comes back without its memory of changes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientFor } from '#/cluster/connect.ts'
import { isApiError } from '#/cluster/errors.ts'
import { nodePath, nodesPath } from '#/cluster/paths.ts'
import { Reflector } from '#/cluster/reflector.ts'
import { eventually, ManualClock } from '#/cluster/testing/manual-clock.ts'
import { timePasser } from '#/cluster/testing/pass-time.ts'
import { silent } from '#/lib/log.ts'
import type { KubeObject } from '#/model/kubernetes.ts'
import { TestServer } from './testing.ts'

const paths = [nodesPath(), '/api/v1/namespaces', '/api/v1/configmaps', '/api/v1/services', '/api/v1/pods']

test('after a minute without the API all watches are in sync within 3 s of its return, though it has forgotten their versions', async () => {
  await using server = await TestServer.start()
  const clock = new ManualClock()
  // the longest of all random waits
  const random = (): number => 0.999
  await using client = await clientFor(
    {
      server: new URL(server.url),
      insecure: false,
      ca: { kind: 'inline', text: server.certificates.ca, field: 'ca' },
      token: { kind: 'inline', text: server.token, field: 'token' },
    },
    { clock, random },
  )
  await using reflectors = new AsyncDisposableStack()
  const watches = paths.map((path) =>
    reflectors.use(new Reflector<KubeObject>({ path }, { client, log: silent, clock, random })),
  )
  const passTime = timePasser(client, clock)
  const allWatch = (): boolean => watches.every(({ status }) => status.phase === 'watching')
  await client.create(nodesPath(), { metadata: { name: 'early' }, spec: {} })
  for (const each of watches) each.start()
  await eventually(allWatch, 'all watch')
  await client.delete(nodePath('early'))
  const [nodes] = watches
  await eventually(() => nodes?.objects.size === 0, 'the end of the node')
  const { resourceVersion } = nodes!.status

  await server.stop()
  const startMs = clock.monotonicMs()
  await passTime(() => clock.monotonicMs() - startMs >= 60_000, 'the minute')
  assert.ok(watches.every(({ status }) => status.phase === 'backoff'))
  await server.resume()
  for (const name of ['late', 'later'])
    await server.call(nodesPath(), { method: 'POST', body: { metadata: { name }, spec: {} } })
  await server.stop()
  await server.resume()
  const returnMs = clock.monotonicMs()
  await passTime(() => allWatch() && nodes?.objects.size === 2, 'the late nodes')
  assert.ok(clock.monotonicMs() - returnMs <= 3_000, `${clock.monotonicMs() - returnMs} ms`)
  await assert.rejects(
    client.list(nodesPath(), { query: { resourceVersion: resourceVersion!, resourceVersionMatch: 'Exact' } }),
    (error) => isApiError(error, 410),
    'the version is forgotten',
  )
})
