import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { test } from 'node:test'
import { eachOf } from './each-of.ts'

test('eachOf keeps the order of the items and to its limit', async () => {
  let running = 0
  let most = 0
  const items = Array.from({ length: 200 }, (_, index) => index)
  const results = await eachOf(items, 40, async (item) => {
    most = Math.max(most, ++running)
    for (let turns = item % 7; turns >= 0; turns--) await setImmediate()
    running--
    return item * 2
  })
  assert.deepEqual(
    results,
    items.map((item) => item * 2),
  )
  assert.ok(most > 16 && most <= 40, String(most))
})

test('eachOf of nothing is nothing, and errors come through', async () => {
  assert.deepEqual(await eachOf([], 4, async () => 1), [])
  await assert.rejects(
    eachOf([1, 2, 3], 2, async () => {
      throw new Error('no')
    }),
    /no/,
  )
})
