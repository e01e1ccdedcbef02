import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Interrupted, Interruption } from './interruption.ts'

const isInterrupted = (exitStatus: number) => (error: unknown) =>
  error instanceof Interrupted && error.exitStatus === exitStatus

test('work is waited for until the process is asked to end; what is begun afterwards ends at once', async () => {
  const asked = Promise.withResolvers<NodeJS.Signals>()
  const interruption = new Interruption(asked.promise)
  assert.equal(await interruption.orStopped(Promise.resolve(7)), 7)
  const endless = interruption.orStopped(new Promise(() => {}))
  asked.resolve('SIGINT')
  await assert.rejects(endless, isInterrupted(130))
  assert.ok(interruption.signal.aborted)
  await assert.rejects(interruption.orStopped(new Promise(() => {})), isInterrupted(130))
})

test('SIGTERM has its own exit status', async () => {
  const interruption = new Interruption(Promise.resolve('SIGTERM'))
  await assert.rejects(interruption.orStopped(new Promise(() => {})), isInterrupted(143))
})
