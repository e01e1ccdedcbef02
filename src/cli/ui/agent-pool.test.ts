import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
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

test('nobody gets agents that others have had closed meanwhile', async () => {
  const counts = { used: 0, ofClosed: 0 }
  const pool = new AgentPool({
    name: 'test',
    open: () => {
      const agents = [...new SimulatedCluster(1).agents]
      return Promise.resolve({
        agents,
        [Symbol.asyncDispose]: () => {
          agents.length = 0
          return Promise.resolve()
        },
      })
    },
    // each is old when the next one asks
    maxAgeMs: 0,
    answerMs: 100,
    leastPauseMs: 10,
  })
  const user = async (turns: number): Promise<void> => {
    for (let turn = 0; turn < turns; turn++) await Promise.resolve()
    await pool.use(({ length }) => {
      counts.used++
      if (length === 0) counts.ofClosed++
      return Promise.resolve()
    })
  }
  await Promise.all(Array.from({ length: 60 }, (_, turns) => user(turns)))
  assert.deepEqual(counts, { used: 60, ofClosed: 0 })
  await pool[Symbol.asyncDispose]()
})
