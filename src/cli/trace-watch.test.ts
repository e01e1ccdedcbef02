import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { traceLimits } from '#/api/schemas/trace.ts'
import { type AgentTransport } from '#/api/transport.ts'
import { Watch } from './trace-watch.ts'

const ready = { kind: 'ready', ready: { node: 'node-1', nowMs: 1, kernel: '6.1.0' } }
const sighting = {
  kind: 'sighting',
  sighting: { timeMs: 1, place: 'receive', role: 'probe', lengthBytes: 0, skb: '1', startsAt: 'link', bytes: '' },
}

/** An agent that says these lines, and then goes away or waits until it is no longer asked. */
function agentSaying(lines: readonly unknown[], end?: Error) {
  const transport: AgentTransport = {
    place: 'node-1',
    send: async () => Promise.reject(new Error('nobody asks')),
    open: async (_request, signal) =>
      Promise.resolve({
        status: 200,
        lines: (async function* () {
          for (const line of lines) yield JSON.stringify(line)
          await turn()
          if (end !== undefined) throw end
          await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
        })(),
      }),
  }
  return { node: 'node-1', transport }
}

async function watched(lines: readonly unknown[], end?: Error) {
  await using watch = new Watch([agentSaying(lines, end)], { protocol: 'tcp', seq: '1' })
  await watch.ready()
  for (let turns = 0; turns < 10; turns++) await turn()
  return { blind: watch.blind, seen: watch.sightings.length }
}

test('a node whose agent goes away while it watches is one that does not watch', async () => {
  assert.deepEqual(await watched([ready, sighting]), { blind: [], seen: 1 })
  const { blind, seen } = await watched([ready, sighting], new Error('socket hang up'))
  assert.equal(seen, 1)
  assert.match(blind[0]?.why ?? '', /the agent on node-1 has ended, or does not go on: socket hang up/)
  const over = await watched([ready, { kind: 'end', end: '10 s are over' }])
  assert.deepEqual(over.blind, [{ node: 'node-1', why: '10 s are over' }])
})

test('an agent that tells without end is not heard without end', async () => {
  const many = Array.from({ length: traceLimits.sightings + 5 }, () => sighting)
  assert.equal((await watched([ready, ...many])).seen, traceLimits.sightings)
})

test('bytes that are none are not taken', async () => {
  const { blind, seen } = await watched([ready, { ...sighting, sighting: { ...sighting.sighting, bytes: 'zz' } }])
  assert.equal(seen, 0)
  assert.match(blind[0]?.why ?? '', /is not hexadecimal/)
})
