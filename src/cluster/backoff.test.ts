import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Backoff } from './backoff.ts'

test('delays double up to the limit, stay within its upper half, and start over after a reset', () => {
  const random = fc.double({ min: 0, max: 0.999, noNaN: true })
  fc.assert(
    fc.property(fc.infiniteStream(random), (stream) => {
      const backoff = new Backoff({ firstMs: 200, maxMs: 30_000 }, { random: () => stream.next().value })
      for (let failures = 0; failures < 2_000; failures++) {
        const full = Math.min(30_000, 200 * 2 ** Math.min(failures, 20))
        const delay = backoff.next()
        assert.ok(delay >= full / 2 && delay <= full, `${delay} after ${failures}`)
      }
      backoff.reset()
      assert.ok(backoff.next() <= 200)
    }),
    { numRuns: 20 },
  )
})
