import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import { type AgentOfNode, askAll } from '#/api/client.ts'
import { type AgentAccess } from '../access/cluster-access.ts'
import { type FoundAgents } from '../access/found-agents.ts'
import { AgentPool } from './agent-pool.ts'
import { SimulatedCluster } from './testing/simulated.ts'

function scene(maxAgeMs: number) {
  const counts = { opened: 0, closed: 0 }
  const pool = new AgentPool({
    name: 'test',
    open: async () => {
      counts.opened++
      await sleep(1)
      return {
        agents: new SimulatedCluster(2).agents,
        [Symbol.asyncDispose]: async () => {
          counts.closed++
          await sleep(1)
        },
      }
    },
    maxAgeMs,
    answerMs: 100,
    leastPauseMs: 10,
  })
  return { pool, counts }
}

test('agents are looked for once for all who use them, and closed when the last one is done', async () => {
  const { pool, counts } = scene(60_000)
  const done = Promise.withResolvers<void>()
  const uses = [pool.use(() => done.promise), pool.use((agents) => Promise.resolve(agents.length))]
  assert.equal(await uses[1], 2)
  await pool.use(() => Promise.resolve())
  assert.deepEqual(counts, { opened: 1, closed: 0 })
  await pool[Symbol.asyncDispose]()
  assert.equal(counts.closed, 0, 'one still uses it')
  done.resolve()
  await uses[0]
  assert.deepEqual(counts, { opened: 1, closed: 1 })
})

test('they are looked for anew when what is known is old; who uses the former ones goes on', async () => {
  const { pool, counts } = scene(20)
  const done = Promise.withResolvers<void>()
  const found = Promise.withResolvers<void>()
  const first = pool.use(async () => {
    found.resolve()
    await done.promise
  })
  await found.promise
  await sleep(40)
  await pool.use(() => Promise.resolve())
  assert.deepEqual(counts, { opened: 2, closed: 0 })
  done.resolve()
  await first
  assert.deepEqual(counts, { opened: 2, closed: 1 })
  await pool[Symbol.asyncDispose]()
  assert.deepEqual(counts, { opened: 2, closed: 2 })
})

test('where they cannot be found the error is told, and they are looked for again the next time', async () => {
  let isThere = false
  const pool = new AgentPool({
    name: 'test',
    open: () =>
      isThere
        ? Promise.resolve({ agents: [], [Symbol.asyncDispose]: () => Promise.resolve() })
        : Promise.reject(new Error('there is no lab')),
    maxAgeMs: 60_000,
    answerMs: 100,
    leastPauseMs: 10,
  })
  await assert.rejects(
    pool.use(() => Promise.resolve()),
    /there is no lab/,
  )
  isThere = true
  await pool.use(() => Promise.resolve())
  await pool[Symbol.asyncDispose]()
})

/** A source that answers one after another. */
function sourceOf(...answers: readonly FoundAgents[]): { pool: AgentPool; counts: { closed: number } } {
  const queue = [...answers]
  const counts = { closed: 0 }
  const open = (): Promise<AgentAccess> =>
    Promise.resolve({
      ...queue.shift()!,
      [Symbol.asyncDispose]: () => {
        counts.closed++
        return Promise.resolve()
      },
    })
  return { pool: new AgentPool({ name: 'test', open, maxAgeMs: 0, answerMs: 100, leastPauseMs: 10 }), counts }
}

test('nodes are kept where a list fails in passing, and not where it is refused', async () => {
  const { agents } = new SimulatedCluster(3)
  const [first, second, third] = agents as [AgentOfNode, AgentOfNode, AgentOfNode]
  const failing = { agents: [first, third], unlisted: { why: 'no time', isPassing: true } }
  const refused = { agents: [first], unlisted: { why: 'no right', isPassing: false } }
  const { pool } = sourceOf({ agents }, failing, failing, { agents: [first, second] }, refused)
  const seen = async (): Promise<string> =>
    pool.use((found, unlisted) => Promise.resolve([...found.map(({ node }) => node), unlisted?.split(': ')[1]].join()))
  assert.equal(await seen(), 'node-1,node-2,node-3,')
  assert.equal(await seen(), 'node-1,node-2,node-3,no time')
  const kept = await pool.use(async (found) => askAll(found.slice(1, 2), 'status'))
  assert.match(JSON.stringify(kept), /no pod of an agent is on the node; whether the node is still there/)
  assert.equal(await seen(), 'node-1,node-2,')
  assert.equal(await seen(), 'node-1,no right')
  await pool[Symbol.asyncDispose]()
})

test('what was found is not closed while somebody who waited for it uses it, whenever others look anew', async () => {
  for (let turns = 0; turns < 20; turns++) {
    const state = { opened: 0 }
    const closed = new Set<string>()
    const open = (): Promise<AgentAccess> => {
      const node = String(++state.opened)
      const [{ transport }] = new SimulatedCluster(1).agents as [AgentOfNode]
      return Promise.resolve({
        agents: [{ node, transport }],
        [Symbol.asyncDispose]: () => Promise.resolve(void closed.add(node)),
      })
    }
    const pool = new AgentPool({ name: 'test', open, maxAgeMs: 0, answerMs: 100, leastPauseMs: 10 })
    const use = async (): Promise<void> =>
      pool.use(async (agents) => {
        for (let turn = 0; turn < 5; turn++) {
          assert.ok(!closed.has(agents[0]!.node), `it is closed with others after ${turns} turns`)
          await Promise.resolve()
        }
      })
    const later = async (): Promise<void> => {
      for (let turn = 0; turn < turns; turn++) await Promise.resolve()
      await use()
    }
    await Promise.all([use(), use(), later(), later()])
    await pool[Symbol.asyncDispose]()
    assert.equal(closed.size, state.opened)
  }
})
