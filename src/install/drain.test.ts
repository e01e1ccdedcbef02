import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { type ApiClient } from '#/cluster/client.ts'
import { ApiError } from '#/cluster/errors.ts'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { drainBgp, undoDrain } from './drain.ts'

type Node = { metadata: { name: string }; spec: { drained?: boolean }; status: { conditions: object[] } }
type Result = Awaited<ReturnType<typeof drainBgp>>

const node = (name: string, speaks = true): Node => ({
  metadata: { name },
  spec: {},
  status: { conditions: speaks ? [{ type: 'Drained', status: 'False' }] : [] },
})

/** An API whose nodes withdraw their routes when they are told to, but for those in `deaf`. Patches of `refused` fail. */
function apiOf(
  nodes: Node[] | undefined,
  { deaf = [], refused = [] }: { deaf?: string[]; refused?: string[] } = {},
): { client: ApiClient; patched: string[]; most: () => number } {
  const patched: string[] = []
  let running = 0
  let most = 0
  const client = {
    list: async () => {
      if (nodes === undefined) throw new ApiError('list', { code: 404, reason: 'NotFound', detail: '' })
      return { items: nodes }
    },
    patch: async (path: string, body: { spec: Node['spec'] }) => {
      const name = path.split('/').at(-1)!
      most = Math.max(most, ++running)
      await setImmediate()
      running--
      if (refused.includes(name)) throw new ApiError('patch', { code: 403, reason: 'Forbidden', detail: 'no' })
      patched.push(`${name} ${JSON.stringify(body)}`)
      const found = nodes!.find(({ metadata }) => metadata.name === name)!
      found.spec = body.spec
      const status = body.spec.drained ? 'True' : 'False'
      if (!deaf.includes(name)) found.status.conditions = [{ type: 'Drained', status }]
    },
  }
  return { client: client as unknown as ApiClient, patched, most: () => most }
}

test('nodes that speak BGP are drained, others are left alone, and a cluster without BGP is nothing to wait for', async () => {
  const clock = new ManualClock()
  const { client, patched } = apiOf([node('a'), node('b', false), node('c')])
  assert.deepEqual(await drainBgp(client, { timeoutMs: 1000, clock }), { drained: 2, late: [], changed: ['a', 'c'] })
  assert.deepEqual(patched, ['a {"spec":{"drained":true}}', 'c {"spec":{"drained":true}}'])
  const none: Result = { drained: 0, late: [], changed: [] }
  assert.deepEqual(await drainBgp(apiOf([]).client, { timeoutMs: 1000, clock }), none)
  assert.deepEqual(await drainBgp(apiOf(undefined).client, { timeoutMs: 1000, clock }), none)
})

test('a node that does not answer is named, and keeps nobody waiting for ever', async () => {
  const clock = new ManualClock()
  const result = drainBgp(apiOf([node('a'), node('down')], { deaf: ['down'] }).client, { timeoutMs: 2000, clock })
  for (let turn = 0; turn < 6; turn++) await clock.advance(500)
  assert.deepEqual(await result, { drained: 1, late: ['down'], changed: ['a', 'down'] })
})

test('many nodes are drained some at a time, and only those that were not drained before are undrained', async () => {
  const clock = new ManualClock()
  const nodes = Array.from({ length: 200 }, (_, index) => node(`n${index}`))
  nodes[7] = { ...node('n7'), spec: { drained: true }, status: { conditions: [{ type: 'Drained', status: 'True' }] } }
  const { client, patched, most } = apiOf(nodes)
  const { drained, changed } = await drainBgp(client, { timeoutMs: 1000, clock })
  assert.deepEqual([drained, changed.length, patched.length], [200, 199, 199])
  assert.ok(most() > 8 && most() <= 16, String(most()))
  assert.match(await undoDrain(client, changed), /^the 199 nodes .* advertise their routes again$/)
  assert.deepEqual(
    nodes.filter(({ spec }) => spec.drained).map(({ metadata }) => metadata.name),
    ['n7'],
  )
})

test('a node that cannot be drained ends it: those that were are undrained, or named where that fails too', async () => {
  const clock = new ManualClock()
  const nodes = Array.from({ length: 40 }, (_, index) => node(`n${index}`))
  const refused = ['n20']
  const { client } = apiOf(nodes, { refused })
  await assert.rejects(
    drainBgp(client, { timeoutMs: 1000, clock }),
    /BGP cannot be drained: .*no; the \d+ nodes .* again$/,
  )
  assert.ok(nodes.every(({ spec }) => spec.drained !== true))
  assert.match(
    await undoDrain(client, ['n20']),
    /^n20 may stay drained \(.*\): routers are told of none of their pods until/,
  )
})
