import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { WorkQueue } from './work-queue.ts'

type Job = { readonly key: string; readonly finish: (isDone: boolean) => void }

function queueOf(concurrency: number): { queue: WorkQueue; jobs: Job[]; clock: ManualClock; active: () => number } {
  const jobs: Job[] = []
  const clock = new ManualClock()
  let active = 0
  const work = async (key: string): Promise<boolean> => {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    active++
    jobs.push({ key, finish: resolve })
    return promise.finally(() => active--)
  }
  const options = { concurrency, firstRetryMs: 200, maxRetryMs: 1_000 }
  return { queue: new WorkQueue(options, { work, clock, random: () => 0.999 }), jobs, clock, active: () => active }
}

test('no more than the allowed number of keys are worked on at once, and each key once', async () => {
  const { queue, jobs, clock, active } = queueOf(2)
  for (const key of ['a', 'b', 'c', 'c']) queue.add(key)
  await clock.advance(0)
  assert.deepEqual(
    jobs.map(({ key }) => key),
    ['a', 'b'],
  )
  jobs[0]!.finish(true)
  await clock.advance(0)
  assert.equal(active(), 2)
  jobs[1]!.finish(true)
  jobs[2]!.finish(true)
  await clock.advance(60_000)
  assert.deepEqual(
    jobs.map(({ key }) => key),
    ['a', 'b', 'c'],
  )
})

test('a failed key comes back after a growing delay, and adding it does not hurry it', async () => {
  const { queue, jobs, clock } = queueOf(2)
  queue.add('a')
  jobs[0]!.finish(false)
  await clock.advance(150)
  queue.add('a')
  await clock.advance(0)
  assert.equal(jobs.length, 1)
  await clock.advance(50)
  assert.equal(jobs.length, 2)
  jobs[1]!.finish(false)
  await clock.advance(350)
  assert.equal(jobs.length, 2)
  await clock.advance(50)
  assert.equal(jobs.length, 3)
  jobs[2]!.finish(true)
  await clock.advance(60_000)
  assert.equal(jobs.length, 3)
})

test('a key added while it is worked on is worked on again, a removed one is not', async () => {
  const { queue, jobs, clock } = queueOf(2)
  queue.add('a')
  queue.add('b')
  queue.remove('a')
  queue.add('a')
  queue.remove('b')
  jobs[0]!.finish(true)
  jobs[1]!.finish(false)
  await clock.advance(60_000)
  assert.deepEqual(
    jobs.map(({ key }) => key),
    ['a', 'b', 'a'],
  )
})

test('closing waits for what is under way and begins nothing more', async () => {
  const { queue, jobs, clock } = queueOf(1)
  queue.add('a')
  queue.add('b')
  let isClosed = false
  const closing = queue[Symbol.asyncDispose]().then(() => (isClosed = true))
  await clock.advance(1_000)
  assert.equal(isClosed, false)
  jobs[0]!.finish(false)
  await closing
  await clock.advance(60_000)
  assert.deepEqual(
    jobs.map(({ key }) => key),
    ['a'],
  )
})
