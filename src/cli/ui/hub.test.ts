import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type LiveLine } from '#/ui/contract.ts'
import { allLine, nodesLine } from '#/ui/lines.ts'
import { type FoundAgents } from '../access/found-agents.ts'
import { Hub } from './hub.ts'
import { healthyReport } from './testing/served.ts'
import { SimulatedCluster } from './testing/simulated.ts'

test('that nodes may be missing is told by the lines of each round, and to doctor, until they can be listed', async () => {
  const { agents } = new SimulatedCluster(2)
  const state: { found: FoundAgents } = { found: { agents, unlisted: { why: 'no right', isPassing: false } } }
  const examined = Promise.withResolvers<string | undefined>()
  await using hub = new Hub({
    source: {
      name: 'test',
      open: () => Promise.resolve({ ...state.found, [Symbol.asyncDispose]: () => Promise.resolve() }),
      maxAgeMs: 0,
      answerMs: 500,
      leastPauseMs: 5,
    },
    version: '0.0.0',
    examine: (_agents, unlisted) => {
      examined.resolve(unlisted)
      return Promise.resolve(healthyReport)
    },
  })
  const lines = (): LiveLine[] =>
    [allLine(hub.picture, hub.state), nodesLine(hub.picture, [], { nowMs: 1 })].map(
      (each) => JSON.parse(each) as LiveLine,
    )
  const unlistedIn = (): unknown[] => lines().map((each) => ('unlisted' in each ? each.unlisted : undefined))
  const ended = Promise.withResolvers<void>()
  const text = 'nodes that should have an agent and have none are not seen: no right'
  using _listening = hub.listen(({ kind }) => {
    if (kind === 'nodes' && unlistedIn().every((each) => each === undefined)) ended.resolve()
  })
  assert.equal(await examined.promise, text)
  assert.deepEqual(unlistedIn(), [text, text])
  state.found = { agents }
  await ended.promise
})
