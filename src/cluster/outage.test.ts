import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Outage } from './outage.ts'
import { ManualClock } from './testing/manual-clock.ts'

const never = new AbortController().signal

function scene(random: () => number): {
  clock: ManualClock
  outage: Outage
  times: number[]
  ask: () => Promise<void>
} {
  const clock = new ManualClock()
  const startMs = clock.monotonicMs()
  const outage = new Outage({ clock, random })
  const times: number[] = []
  const ask = async (): Promise<void> => {
    await outage.turn(never)
    times.push(Math.round(clock.monotonicMs() - startMs))
  }
  return { clock, outage, times, ask }
}

test('callers get their turns one after the other, at a growing pause that ends at the pace', async () => {
  const { clock, outage, times, ask } = scene(() => 0.999999)
  assert.equal(outage.isOn, false)
  outage.failed()
  assert.equal(outage.isOn, true)
  for (let caller = 0; caller < 6; caller++) void ask()
  await clock.advance(60_000)
  assert.deepEqual(times, [200, 600, 1400, 2400, 3400, 4400])
  assert.equal(clock.nextMs, undefined, 'nobody waits any more')
})

test('a caller whose try fails again goes to the end of the queue', async () => {
  const { clock, outage } = scene(() => 0)
  const order: string[] = []
  const tryOn = async (name: string): Promise<void> => {
    for (let round = 0; round < 2; round++) {
      await outage.turn(never)
      order.push(name)
      outage.failed()
    }
  }
  outage.failed()
  for (const name of ['a', 'b', 'c']) void tryOn(name)
  await clock.advance(60_000)
  assert.deepEqual(order, ['a', 'b', 'c', 'a', 'b', 'c'])
})

test('the first answer ends the outage, and the others ask within the pace', async () => {
  let next = 0
  const { clock, outage, times, ask } = scene(() => [0, 0.25, 0.5, 0.999999][next++ % 4]!)
  outage.failed()
  for (let caller = 0; caller < 3; caller++) void ask()
  outage.answered()
  assert.equal(outage.isOn, false)
  await clock.advance(60_000)
  assert.deepEqual(times, [250, 500, 1000])
})

test('a pause ends on its own, or soon after the end of an outage', async () => {
  const { clock, outage } = scene(() => 0.5)
  const ended: string[] = []
  const pause = async (name: string, delayMs: number): Promise<void> => {
    await outage.pause(delayMs, never)
    ended.push(name)
  }
  outage.failed()
  void pause('short', 300)
  void pause('long', 30_000)
  outage.answered()
  await clock.advance(299)
  assert.deepEqual(ended, [])
  await clock.advance(1)
  assert.deepEqual(ended, ['short'])
  await clock.advance(200)
  assert.deepEqual(ended, ['short', 'long'])
  assert.equal(clock.nextMs, undefined)
})

test('an abort ends every wait and leaves no timer', async () => {
  const { clock, outage } = scene(() => 0.5)
  const abort = new AbortController()
  outage.failed()
  const waits = [outage.turn(abort.signal), outage.pause(5_000, abort.signal)]
  abort.abort()
  await Promise.all([...waits, outage.turn(abort.signal), outage.pause(5_000, abort.signal)])
  assert.equal(clock.nextMs, undefined)
})

/** Numbers in [0, 1) that are the same on every run (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

for (const { nodes, watches, boundMs } of [
  { nodes: 3, watches: 7, boundMs: 2_000 },
  { nodes: 500, watches: 7, boundMs: 2_000 },
  { nodes: 5_000, watches: 7, boundMs: 20_000 },
]) {
  test(`the agents of ${nodes} nodes ask at most 1,000 times a second while the API is away, and are all back in ${boundMs} ms`, async () => {
    const returnMs = 30_000
    const perSecond = new Map<number, number>()
    let lastMs = 0
    for (let agent = 0; agent < nodes; agent++) {
      const { clock, outage } = scene(randomFrom(agent))
      const startMs = clock.monotonicMs()
      outage.noteSize(nodes)
      outage.failed()
      const watch = async (): Promise<void> => {
        for (;;) {
          await outage.turn(never)
          const nowMs = clock.monotonicMs() - startMs
          if (nowMs >= returnMs) {
            outage.answered()
            lastMs = Math.max(lastMs, nowMs - returnMs)
            return
          }
          // the pauses have grown by then; at first they are short, so that a short outage is a short one for the agents too
          const second = Math.floor(nowMs / 1_000)
          if (second >= 20) perSecond.set(second, (perSecond.get(second) ?? 0) + 1)
        }
      }
      for (let count = 0; count < watches; count++) void watch()
      await clock.advance(returnMs + boundMs)
    }
    assert.ok(lastMs > 0 && lastMs <= boundMs, `the last one after ${lastMs} ms`)
    for (const [second, count] of perSecond) assert.ok(count <= 1_000, `${count} tries in second ${second}`)
  })
}
