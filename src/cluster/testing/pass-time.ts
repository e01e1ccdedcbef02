// For tests of outages: lets time pass on a ManualClock while no request is under way, so that a slow machine costs no time on that clock.
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import type { ApiClient } from '../client.ts'
import type { ManualClock } from './manual-clock.ts'

const stepMs = 20
const limitMs = 60_000

/** Returns a function that lets time pass until a condition holds. Counts the lists and watches of this client from now on. */
export function timePasser(
  client: ApiClient,
  clock: ManualClock,
): (condition: () => boolean, what: string) => Promise<void> {
  let underWay = 0
  const counted =
    <A extends unknown[], R>(method: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      underWay++
      try {
        return await method.apply(client, args)
      } finally {
        underWay--
      }
    }
  Object.assign(client, { list: counted(client.list), watch: counted(client.watch) })
  return async (condition, what) => {
    const startedMs = performance.now()
    while (!condition()) {
      assert.ok(performance.now() - startedMs < limitMs, `still not: ${what}`)
      await (underWay === 0 ? clock.advance(stepMs) : delay(1))
    }
  }
}
