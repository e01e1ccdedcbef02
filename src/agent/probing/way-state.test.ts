import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Fate, SimulatedWay } from './testing.ts'

/** Numbers from 0 to 1 that are the same in every run (mulberry32). */
function chances(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

test('a healthy way gets a small probe each second and one of the full size every three, all of which are answered', () => {
  const sim = new SimulatedWay()
  sim.pass(60_000)
  const count = (size: string): number => sim.sent.filter((each) => each.size === size).length
  assert.deepEqual([count('small'), count('full')], [60, 20])
  const { way } = sim
  assert.deepEqual([way.isFresh, way.isSilent, way.isLossy, way.isSmallOnly], [false, false, false, false])
  assert.deepEqual([way.bytesOf('small'), way.bytesOf('full')], [84, 1450])
  assert.deepEqual([way.rttsMs.length, way.rttsMs[0]], [60, 1])
  assert.ok(sim.sent.filter(({ atMs }) => atMs >= 10_000 && atMs < 11_000).length <= 2, 'no more at once')
})

test('a break is told within 4 s whenever it begins, and its end within 2 s', () => {
  fc.assert(
    fc.property(fc.integer({ min: 5_000, max: 9_000 }), fc.constantFrom(1, 50, 300), (beginMs, rttMs) => {
      const sim = new SimulatedWay()
      sim.fate = () => rttMs
      sim.pass(beginMs)
      sim.fate = () => 'lost'
      const toldMs = sim.pass(10_000, () => sim.way.isSilent)
      assert.ok(toldMs >= 2_000 && toldMs <= 4_000, `told after ${toldMs} ms`)
      assert.ok(sim.way.silentSinceMs >= beginMs - 10 && sim.way.silentSinceMs <= beginMs + 1_010)
      const before = sim.sent.length
      sim.pass(20_000)
      assert.ok(sim.sent.length - before <= 21, 'a broken way is asked no more than another')
      assert.ok(sim.sent.slice(before).every(({ size }) => size === 'small'))
      sim.fate = () => rttMs
      const overMs = sim.pass(10_000, () => !sim.way.isSilent)
      assert.ok(overMs <= 2_500, `over after ${overMs} ms`)
    }),
  )
})

test('what is refused at once is told no sooner, so that a route that changes is no break', () => {
  const sim = new SimulatedWay()
  sim.pass(5_000)
  sim.fate = () => ({ by: 'this node', why: 'ENETUNREACH' })
  sim.pass(1_500)
  assert.equal(sim.way.isSilent, false)
  const toldMs = sim.pass(10_000, () => sim.way.isSilent)
  assert.ok(toldMs <= 2_500)
  assert.deepEqual(sim.way.sizes.small.refused, { by: 'this node', why: 'ENETUNREACH' })
})

test('packets that are lost here and there are no break, and are told as loss after a minute, until it is over', () => {
  for (const percent of [6, 20, 40])
    for (let seed = 1; seed <= 20; seed++) {
      const sim = new SimulatedWay()
      const chance = chances(seed)
      const fate: Fate = () => (chance() * 100 < percent ? 'lost' : 1)
      sim.fate = fate
      let silentMs = 0
      let smallOnlyMs = 0
      for (let ms = 0; ms < 300_000; ms += 100) {
        sim.pass(100)
        if (sim.way.isSilent) silentMs += 100
        if (sim.way.isSmallOnly) smallOnlyMs += 100
        if (ms < 50_000) assert.equal(sim.way.isLossy, false, 'not before a minute')
      }
      if (percent <= 20) assert.equal(silentMs, 0, `${percent} % with seed ${seed}: no break`)
      assert.ok(
        smallOnlyMs <= (percent > 20 ? 15_000 : 0),
        `${percent} % with seed ${seed}: ${smallOnlyMs} ms of large ones lost`,
      )
      assert.ok(silentMs < 15_000, `${percent} % with seed ${seed}: ${silentMs} ms of breaks`)
      if (percent >= 20) assert.ok(sim.way.isLossy, `${percent} % with seed ${seed}: told as loss`)
      sim.fate = () => 1
      sim.pass(61_000)
      assert.equal(sim.way.isLossy, false)
    }
})

test('one lost packet of a hundred is nothing', () => {
  const sim = new SimulatedWay()
  let count = 0
  sim.fate = () => (++count % 100 === 0 ? 'lost' : 1)
  for (let ms = 0; ms < 600_000; ms += 1_000) {
    sim.pass(1_000)
    assert.deepEqual([sim.way.isSilent, sim.way.isLossy, sim.way.isSmallOnly], [false, false, false])
  }
})

test('an interruption is not told as loss in part when it is over', () => {
  const sim = new SimulatedWay()
  sim.pass(70_000)
  for (const interruptionMs of [15_000, 4_000, 5_000, 5_000, 5_000]) {
    sim.fate = () => 'lost'
    sim.pass(interruptionMs)
    sim.fate = () => 1
    for (let ms = 0; ms < 12_000; ms += 1_000) {
      sim.pass(1_000)
      assert.equal(sim.way.isLossy, false)
    }
    assert.equal(sim.way.isSilent, false)
  }
})

test('loss in part that ended with a break is not told when that is over', () => {
  const sim = new SimulatedWay()
  sim.pass(70_000)
  let count = 0
  // every fourth probe of the last seconds before the cable is out
  sim.fate = () => (++count % 4 === 0 ? 'lost' : 1)
  sim.pass(60_000, () => sim.way.isLossy)
  assert.ok(sim.way.isLossy)
  sim.fate = () => 'lost'
  sim.pass(90_000)
  sim.fate = () => 1
  for (let ms = 0; ms < 70_000; ms += 1_000) {
    sim.pass(1_000)
    const { sent, answered } = sim.way.window('small')
    if (sim.way.isLossy) assert.ok(sent - answered > 0, `${sent} sent, all answered, after ${ms} ms`)
  }
})

test('a way that loses large packets alone is told within 5 s, with what refused them', () => {
  fc.assert(
    fc.property(fc.integer({ min: 10_000, max: 13_000 }), fc.boolean(), (beginMs, isTold) => {
      const sim = new SimulatedWay()
      sim.pass(beginMs)
      const refusal = { by: '172.30.1.254', why: 'fragmentation needed', mtuBytes: 1400 }
      sim.fate = (size) => (size === 'small' ? 1 : isTold ? refusal : 'lost')
      const toldMs = sim.pass(10_000, () => sim.way.isSmallOnly)
      assert.ok(toldMs <= 5_000, `told after ${toldMs} ms`)
      assert.equal(sim.way.isSilent, false)
      assert.deepEqual(sim.way.sizes.full.refused, isTold ? refusal : undefined)
      sim.fate = () => 1
      assert.ok(sim.pass(10_000, () => !sim.way.isSmallOnly) <= 4_000)
    }),
  )
})

test('a slow way is neither broken nor in doubt for ever', () => {
  const sim = new SimulatedWay()
  sim.fate = () => 700
  sim.pass(30_000)
  assert.equal(sim.way.isSilent, false)
  assert.ok(sim.sent.length < 30 * 5, `${sim.sent.length} probes in 30 s`)
})

test('what was under way when this process stood still is not lost', () => {
  const sim = new SimulatedWay()
  sim.pass(10_000)
  sim.fate = () => 'lost'
  for (let turn = 0; turn < 10; turn++) {
    sim.pass(300)
    sim.way.forget()
    sim.nowMs += 60_000
  }
  assert.deepEqual([sim.way.isSilent, sim.way.isFailing], [false, false])
  sim.fate = () => 1
  const before = sim.sent.length
  sim.pass(500)
  assert.ok(sim.sent.length - before <= 2, 'nothing is made up for')
})
