import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { silent } from '#/lib/log.ts'
import { ReconcileLoop } from './reconcile-loop.ts'

const times = { gatherMs: 20, gatherLaterMs: 100, retryMs: 500, maxRetryMs: 1500, resyncMs: 60_000 }

/** Lets promises settle, which mocked timers do not touch. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
}

/** A loop whose passes are counted; `failed` is what each of them says. */
function loopWith(failed: () => number) {
  let passes = 0
  let resyncs = 0
  const loop = new ReconcileLoop(times, {
    pass: async () => {
      passes++
      return { failed: failed() }
    },
    onResync() {
      resyncs++
    },
    log: silent,
  })
  const after = async (ms: number): Promise<number> => {
    mock.timers.tick(ms)
    await settle()
    return passes
  }
  return { loop, after, resyncs: () => resyncs }
}

test('changes within a few milliseconds cause one pass, and so does a minute without changes', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    const { loop, after, resyncs } = loopWith(() => 0)
    loop.trigger('later')
    for (let change = 0; change < 10; change++) loop.trigger('soon')
    assert.equal(await after(19), 0)
    assert.equal(await after(1), 1)
    assert.equal(await after(59_999), 1)
    assert.equal(resyncs(), 0)
    assert.equal(await after(1), 2)
    assert.equal(resyncs(), 1)
    loop.trigger('later')
    assert.equal(await after(99), 2)
    assert.equal(await after(1), 3)
    await loop[Symbol.asyncDispose]()
    loop.trigger('soon')
    assert.equal(await after(120_000), 3)
  } finally {
    mock.timers.reset()
  }
})

test('failures are tried again with a growing pause, up to a bound', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    let failed = 1
    const { loop, after } = loopWith(() => failed)
    await loop.runNow()
    await settle()
    assert.equal(await after(499), 1)
    assert.equal(await after(1), 2)
    assert.equal(await after(999), 2)
    assert.equal(await after(1), 3)
    assert.equal(await after(1500), 4)
    failed = 0
    assert.equal(await after(1500), 5)
    assert.equal(await after(1500), 5)
    await loop[Symbol.asyncDispose]()
  } finally {
    mock.timers.reset()
  }
})

test('neither changes that come all the time nor passes that fail put the resync off', async () => {
  for (const failed of [0, 1]) {
    mock.timers.enable({ apis: ['setTimeout'] })
    try {
      const { loop, after, resyncs } = loopWith(() => failed)
      loop.trigger('soon')
      await after(20)
      for (let turn = 0; turn < 30; turn++) {
        await after(10_000)
        loop.trigger('later')
      }
      assert.ok(resyncs() >= 4, `${resyncs()} in 300 s`)
      await loop[Symbol.asyncDispose]()
    } finally {
      mock.timers.reset()
    }
  }
})

test('a pass that wants another one later gets it, though nothing has changed', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    const wanted: (number | undefined)[] = [5000, 0, undefined]
    let passes = 0
    const loop = new ReconcileLoop(times, {
      pass: async () => ({ failed: 0, againMs: wanted[passes++] }),
      onResync() {},
      log: silent,
    })
    await loop.runNow()
    await settle()
    const after = async (ms: number): Promise<number> => {
      mock.timers.tick(ms)
      await settle()
      return passes
    }
    assert.equal(await after(4999), 1)
    assert.equal(await after(1), 2)
    assert.equal(await after(99), 2, 'never without a pause')
    assert.equal(await after(1), 3)
    assert.equal(await after(30_000), 3)
    await loop[Symbol.asyncDispose]()
  } finally {
    mock.timers.reset()
  }
})
