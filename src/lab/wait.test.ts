import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LabError } from './spec.ts'
import { waitFor } from './wait.ts'

const wait = { what: 'rain', timeoutMs: 0, why: () => ' (dry)', stop: new AbortController().signal }

test('a wait gives what was found, or an error that says what it waited for and why that is missing', async () => {
  assert.equal(await waitFor(wait, async () => 'drops'), 'drops')
  await assert.rejects(
    waitFor(wait, async () => undefined),
    (error) => error instanceof LabError && error.message === 'rain: not there after 0 s (dry)',
  )
})

test('a wait ends when it is stopped, and asks no more', async () => {
  const stop = new AbortController()
  let asked = 0
  const waiting = waitFor({ ...wait, timeoutMs: 1e9, stop: stop.signal }, async () => {
    asked += 1
    if (asked === 2) stop.abort(new Error('enough'))
    return undefined
  })
  await assert.rejects(waiting, /enough/)
  assert.equal(asked, 2)
})
