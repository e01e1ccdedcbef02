import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LossKnown, type LossOutcome, LossTest, SizesKnown } from './other-packets.ts'

/** Tries until it is decided; of these so many are lost. */
function decided(echoLoss: number, isLost: (number: number) => boolean): { outcome: LossOutcome; tried: number } {
  const known = new LossTest()
  while (known.outcome === 'open' && known.tried < 1_000) known.note(!isLost(known.tried), echoLoss)
  return { outcome: known.outcome, tried: known.tried }
}

test('connections that are never lost show that echo requests alone are, the sooner the more of these are', () => {
  for (const [loss, most] of [
    [0.05, 120],
    [0.2, 25],
    [0.5, 8],
    [0.9, 3],
  ] as const) {
    const { outcome, tried } = decided(loss, () => false)
    assert.equal(outcome, 'echoes')
    assert.ok(tried <= most, `${loss}: ${tried}`)
  }
})

test('connections that are lost as well show that all packets are', () => {
  assert.deepEqual(decided(0.5, (number) => number % 2 === 1).outcome, 'all')
  assert.deepEqual(decided(0.05, (number) => number % 20 === 5).outcome, 'all')
  // nothing but echo requests is answered
  assert.deepEqual(
    decided(0.3, () => true),
    { outcome: 'all', tried: 8 },
  )
})

test('property: by chance it is wrong hardly ever', () => {
  const shares = fc.double({ min: 0.05, max: 0.9, noNaN: true })
  const chances = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 300, maxLength: 300 })
  let wrong = 0
  fc.assert(
    fc.property(shares, chances, (loss, draws) => {
      if (decided(loss, (number) => draws[number % draws.length]! < loss).outcome === 'echoes') wrong++
    }),
    // values that are sought out are no chance
    { numRuns: 400, seed: 7, endOnFailure: true },
  )
  assert.ok(wrong <= 12, String(wrong))
})

test('what was found out holds until the contrary is', () => {
  const known = new LossKnown()
  for (let count = 0; count < 7; count++) known.note(true, 0.5)
  assert.equal(known.outcome, 'echoes')
  known.note(true, 0.5)
  known.note(true, 0.5)
  known.note(false, 0.5)
  assert.equal(known.outcome, 'echoes')
  known.note(false, 0.5)
  assert.equal(known.outcome, 'all')
  assert.deepEqual(known.tries, { tried: 4, answered: 2 })
})

test('of sizes, an answer to a large datagram says more than all that was lost', () => {
  const known = new SizesKnown()
  assert.equal(known.outcome(0), 'open')
  known.note({ small: true, full: false }, 0)
  assert.equal(known.outcome(0), 'open')
  known.note({ small: true, full: false }, 1_000)
  assert.deepEqual([known.outcome(1_000), known.isSeen], ['all', true])
  known.note({ small: true, full: true }, 2_000)
  assert.equal(known.outcome(3_000), 'echoes')
  assert.equal(known.outcome(60_000), 'open')
  const silent = new SizesKnown()
  for (let count = 0; count < 3; count++) silent.note({ small: false, full: false }, count)
  assert.deepEqual([silent.outcome(3), silent.isSeen], ['all', false])
})
