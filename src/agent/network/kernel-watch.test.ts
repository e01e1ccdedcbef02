import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { silent } from '#/lib/log.ts'
import { KernelWatch } from './kernel-watch.ts'

test('a watch that ends is told as lost, and opened again until there is one', () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    const ends: ((error: unknown) => void)[] = []
    let isBroken = false
    let closed = 0
    let reopened = 0
    using watch = new KernelWatch({
      open: (onEnd) => {
        if (isBroken) throw new Error('EMFILE')
        ends.push(onEnd)
        return { [Symbol.dispose]: () => void closed++ }
      },
      onReopened: () => void reopened++,
      log: silent,
    })
    watch.start()
    assert.equal(watch.lost, undefined)
    isBroken = true
    ends[0]!(new Error('EBADF'))
    assert.equal(watch.lost, 'EBADF')
    assert.equal(closed, 1)
    mock.timers.tick(5000)
    assert.equal(watch.lost, 'EMFILE')
    assert.equal(reopened, 0)
    isBroken = false
    mock.timers.tick(5000)
    assert.equal(watch.lost, undefined)
    assert.deepEqual([ends.length, reopened], [2, 1])
  } finally {
    mock.timers.reset()
  }
})

test('a watch that is disposed of while it is lost is not opened again', () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    let opened = 0
    let end: (error: unknown) => void = () => {}
    const watch = new KernelWatch({
      open: (onEnd) => {
        opened++
        end = onEnd
        return { [Symbol.dispose]: () => {} }
      },
      onReopened: () => {},
      log: silent,
    })
    watch.start()
    end(new Error('EBADF'))
    watch[Symbol.dispose]()
    mock.timers.tick(60_000)
    assert.equal(opened, 1)
  } finally {
    mock.timers.reset()
  }
})
