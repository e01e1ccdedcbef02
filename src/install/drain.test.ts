import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ApiClient } from '#/cluster/client.ts'
import { ApiError } from '#/cluster/errors.ts'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { drainBgp } from './drain.ts'

type Node = { metadata: { name: string }; spec: { drained?: boolean }; status: { conditions: object[] } }

const node = (name: string, speaks = true): Node => ({
  metadata: { name },
  spec: {},
  status: { conditions: speaks ? [{ type: 'Drained', status: 'False' }] : [] },
})

/** An API whose nodes withdraw their routes when they are told to, but for those in `deaf`. */
function apiOf(nodes: Node[] | undefined, deaf: string[] = []): { client: ApiClient; patched: string[] } {
  const patched: string[] = []
  const client = {
    list: async () => {
      if (nodes === undefined) throw new ApiError('list', { code: 404, reason: 'NotFound', detail: '' })
      return { items: nodes }
    },
    patch: async (path: string, body: object) => {
      const name = path.split('/').at(-1)!
      patched.push(`${name} ${JSON.stringify(body)}`)
      const found = nodes!.find(({ metadata }) => metadata.name === name)!
      if (!deaf.includes(name)) found.status.conditions = [{ type: 'Drained', status: 'True' }]
    },
  }
  return { client: client as unknown as ApiClient, patched }
}

test('nodes that speak BGP are drained, others are left alone, and a cluster without BGP is nothing to wait for', async () => {
  const clock = new ManualClock()
  const { client, patched } = apiOf([node('a'), node('b', false), node('c')])
  assert.deepEqual(await drainBgp(client, { timeoutMs: 1000, clock }), { drained: 2, late: [] })
  assert.deepEqual(patched, ['a {"spec":{"drained":true}}', 'c {"spec":{"drained":true}}'])
  assert.deepEqual(await drainBgp(apiOf([]).client, { timeoutMs: 1000, clock }), { drained: 0, late: [] })
  assert.deepEqual(await drainBgp(apiOf(undefined).client, { timeoutMs: 1000, clock }), { drained: 0, late: [] })
})

test('a node that does not answer is named, and keeps nobody waiting for ever', async () => {
  const clock = new ManualClock()
  const result = drainBgp(apiOf([node('a'), node('down')], ['down']).client, { timeoutMs: 2000, clock })
  for (let turn = 0; turn < 6; turn++) await clock.advance(500)
  assert.deepEqual(await result, { drained: 1, late: ['down'] })
})
