import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { test } from 'node:test'
import { InOrder } from './in-order.ts'

test('tasks run one at a time, in their order, whatever becomes of those before', async () => {
  const order = new InOrder()
  const events: string[] = []
  const task = (name: string, turns: number, fails = false) =>
    order.run(async () => {
      events.push(`${name} begins`)
      for (let turn = 0; turn < turns; turn++) await setImmediate()
      events.push(`${name} ends`)
      if (fails) throw new Error(name)
      return name
    })
  const results = await Promise.allSettled([task('a', 3), task('b', 2, true), task('c', 0)])
  assert.deepEqual(events, ['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends'])
  assert.deepEqual(
    results.map((result) => (result.status === 'fulfilled' ? result.value : String(result.reason))),
    ['a', 'Error: b', 'c'],
  )
  assert.equal(await task('d', 1), 'd')
})
