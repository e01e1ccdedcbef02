import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ApiClient } from '#/cluster/client.ts'
import { ApiError } from '#/cluster/errors.ts'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { fieldsOf } from '#/model/kubernetes.ts'
import { isUpgrade, pullFirst } from './pull.ts'
import { pullerDaemonSet } from './puller.ts'
import { dualStack as settings } from './testing/settings.ts'

type Pod = { readonly node: string; readonly waiting?: { readonly reason: string; readonly message?: string } }

/** A cluster with a puller's pod on every node; `pods` without `waiting` are ready, and `agents` is the image that agents run. */
function clusterOf({ pods = [], agents }: { pods?: readonly Pod[]; agents?: string }) {
  const calls: string[] = []
  const client = {
    get: async (path: string) => {
      if (path.endsWith('/causeway-agent')) {
        if (agents === undefined) throw new ApiError('get', { code: 404, reason: 'NotFound', detail: '' })
        return { spec: { template: { spec: { containers: [{ name: 'agent', image: agents }] } } } }
      }
      const numberReady = pods.filter(({ waiting }) => waiting === undefined).length
      const counts = { desiredNumberScheduled: pods.length, updatedNumberScheduled: pods.length, numberReady }
      return { metadata: { generation: 1 }, status: { observedGeneration: 1, ...counts } }
    },
    patch: async (path: string, body: object) =>
      calls.push(
        `apply ${path.split('/').at(-1)} ${JSON.stringify(fieldsOf(body)['spec']).match(/"image":"[^"]*"/)?.[0]}`,
      ),
    delete: async (path: string) => calls.push(`delete ${path.split('/').at(-1)}`),
    list: async () => ({
      items: pods.map(({ node, waiting }) => ({
        spec: { nodeName: node },
        status: { phase: 'Pending', containerStatuses: [{ ready: waiting === undefined, state: { waiting } }] },
      })),
    }),
  }
  return { client: client as unknown as ApiClient, calls }
}

/** Runs it with two seconds to wait; returns what it said and did, and its error. */
async function pull(pods: readonly Pod[], signal?: AbortSignal) {
  const { client, calls } = clusterOf({ pods })
  const clock = new ManualClock()
  const said: string[] = []
  const wait = { timeoutMs: 2000, clock, ...(signal && { signal }) }
  const work = pullFirst(client, settings, { ...wait, say: (line) => said.push(line) })
  const outcome = work.then(
    () => undefined,
    (error: Error) => error.message,
  )
  for (let second = 0; second < 4; second++) await clock.advance(1000)
  return { error: await outcome, said, calls }
}

const gone = ['apply causeway-pull "image":"example/causeway:1"', 'delete causeway-pull']

test('an upgrade is one where agents of another image run', async () => {
  for (const [agents, expected] of [
    [undefined, false],
    ['example/causeway:1', false],
    ['example/causeway:0', true],
  ] as const)
    assert.equal(await isUpgrade(clusterOf(agents === undefined ? {} : { agents }).client, settings), expected)
})

test("the image is pulled with the credentials of the agents' account, and without its token", () => {
  const pod = fieldsOf(fieldsOf(fieldsOf(fieldsOf(pullerDaemonSet(settings))['spec'])['template'])['spec'])
  assert.deepEqual([pod['serviceAccountName'], pod['automountServiceAccountToken']], ['causeway-agent', false])
})

test('nodes that have pulled are counted, and the pods that pulled go', async () => {
  const { error, said, calls } = await pull([{ node: 'a' }, { node: 'b' }])
  assert.equal(error, undefined)
  assert.deepEqual(said, ['2 nodes have pulled example/causeway:1'])
  assert.deepEqual(calls, gone)
})

test('an image that cannot be pulled stops the upgrade and names nodes and reason', async () => {
  const waiting = { reason: 'ImagePullBackOff', message: 'Back-off pulling image' }
  const pods = Array.from({ length: 7 }, (_, n) => ({ node: `n${n}`, ...(n > 0 && { waiting }) }))
  const { error, said, calls } = await pull(pods)
  assert.match(
    error ?? '',
    /^after 2 s example\/causeway:1 cannot be pulled on n1 \(ImagePullBackOff: Back-off pulling image\), n2 .* n5 \([^)]*\) and 1 more; nothing was changed/,
  )
  assert.deepEqual(said, [])
  assert.deepEqual(calls, gone)
})

test('a node that tells nothing does not stop it, and is named', async () => {
  const { error, said, calls } = await pull([{ node: 'a' }, { node: 'down', waiting: { reason: 'ContainerCreating' } }])
  assert.equal(error, undefined)
  assert.deepEqual(said, ['1 of 2 nodes have pulled example/causeway:1; not yet: down (ContainerCreating)'])
  assert.deepEqual(calls, gone)
})

test('whoever interrupts it leaves nothing behind', async () => {
  const { error, calls } = await pull(
    [{ node: 'a', waiting: { reason: 'ContainerCreating' } }],
    AbortSignal.abort(new Error('stop')),
  )
  assert.equal(error, 'stop')
  assert.deepEqual(calls, gone)
})
