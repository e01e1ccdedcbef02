import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Interrupted, Interruption } from './interruption.ts'

const isInterrupted = (exitStatus: number) => (error: unknown) =>
  error instanceof Interrupted && error.exitStatus === exitStatus

test('work is waited for until the process is asked to end; then the second request is left to the system', async () => {
  const listeners = process.listenerCount('SIGINT')
  using interruption = new Interruption()
  assert.equal(await interruption.orStopped(Promise.resolve(7)), 7)
  const endless = interruption.orStopped(new Promise(() => {}))
  process.emit('SIGINT', 'SIGINT')
  await assert.rejects(endless, isInterrupted(130))
  assert.ok(interruption.signal.aborted)
  assert.equal(process.listenerCount('SIGINT'), listeners)
  await assert.rejects(interruption.orStopped(new Promise(() => {})), isInterrupted(130))
})

test('SIGTERM has its own exit status', async () => {
  using interruption = new Interruption()
  process.emit('SIGTERM', 'SIGTERM')
  await assert.rejects(interruption.orStopped(new Promise(() => {})), isInterrupted(143))
})
