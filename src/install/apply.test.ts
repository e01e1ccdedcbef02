import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ApiClient } from '#/cluster/client.ts'
import { ApiError } from '#/cluster/errors.ts'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { awaitDeletions } from './apply.ts'
import { type Manifest } from './settings.ts'

const namespace: Manifest = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'causeway-system' } }
const role: Manifest = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name: 'agent' } }

/** The namespace is being deleted for so many requests, and is then gone; the role stays. */
function clientOf(goingFor: number): ApiClient {
  let asked = 0
  const get = async (path: string): Promise<object> => {
    if (path.includes('clusterroles')) return { metadata: { name: 'agent' } }
    if (asked++ >= goingFor) throw new ApiError('get', { code: 404, reason: 'NotFound', detail: '' })
    return { metadata: { name: 'causeway-system', deletionTimestamp: '2026-01-01T00:00:00Z' } }
  }
  return { get } as unknown as ApiClient
}

async function waitFor(client: ApiClient): Promise<string[]> {
  const clock = new ManualClock()
  const said: string[] = []
  const waiting = awaitDeletions(client, [namespace, role], { timeoutMs: 5000, clock, say: (line) => said.push(line) })
  waiting.catch(() => {})
  // more turns than any of these waits takes
  for (let turn = 0; turn < 12; turn++) await clock.advance(500)
  await waiting
  return said
}

test('what is being deleted is waited for, with a word; what stays or is gone is not', async () => {
  assert.deepEqual(await waitFor(clientOf(0)), [])
  assert.deepEqual(await waitFor(clientOf(4)), ['waiting until Namespace causeway-system is gone'])
})

test('what does not go is named, with where to look', async () => {
  await assert.rejects(
    waitFor(clientOf(Infinity)),
    /after 5 s still being deleted: Namespace causeway-system; .*finalizers/,
  )
})
