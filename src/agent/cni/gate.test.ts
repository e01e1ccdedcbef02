import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { test } from 'node:test'
import { Gate } from './gate.ts'

/** Calls through a gate that end when they are told to; `running` has the names of those that have begun. */
function bench(limit: number) {
  const gate = new Gate({ limit })
  const running: string[] = []
  const ends = new Map<string, () => void>()
  const never = new AbortController().signal
  const task = (name: string) => async (): Promise<string> => {
    const { promise, resolve } = Promise.withResolvers<void>()
    running.push(name)
    ends.set(name, resolve)
    await promise
    running.splice(running.indexOf(name), 1)
    return name
  }
  return {
    gate,
    running,
    call: (key: string, name: string, signal = never) => gate.run(key, signal, task(name)),
    callAlone: (name: string) => gate.runAlone(never, task(name)),
    end: async (name: string): Promise<void> => {
      ends.get(name)?.()
      await nextTurn()
    },
  }
}

test('calls of one key run in order, and calls of other keys overtake them', async () => {
  const { call, running, end } = bench(10)
  const all = [call('a', 'a1'), call('a', 'a2'), call('a', 'a3'), call('b', 'b1')]
  await nextTurn()
  assert.deepEqual(running, ['a1', 'b1'])
  await end('a1')
  assert.deepEqual(running, ['b1', 'a2'])
  await end('a2')
  await end('a3')
  await end('b1')
  assert.deepEqual(await Promise.all(all), ['a1', 'a2', 'a3', 'b1'])
})

test('no more than the limit run', async () => {
  const { call, running, end } = bench(2)
  const all = ['a', 'b', 'c'].map((key) => call(key, key))
  await nextTurn()
  assert.deepEqual(running, ['a', 'b'])
  await end('a')
  assert.deepEqual(running, ['b', 'c'])
  await end('b')
  await end('c')
  await Promise.all(all)
})

test('an exclusive call waits for all calls before it, and all later calls wait for it', async () => {
  const { call, callAlone, running, end } = bench(10)
  const all = [call('a', 'a1'), callAlone('gc'), call('b', 'b1')]
  await nextTurn()
  assert.deepEqual(running, ['a1'])
  await end('a1')
  assert.deepEqual(running, ['gc'])
  await end('gc')
  assert.deepEqual(running, ['b1'])
  await end('b1')
  await Promise.all(all)
})

test('a caller that gives up while waiting is forgotten, also an exclusive one', async () => {
  const { gate, call, running, end } = bench(10)
  const giveUp = new AbortController()
  const first = call('a', 'a1')
  const waiting = call('a', 'a2', giveUp.signal)
  const waitingAlone = gate.runAlone(giveUp.signal, () => Promise.resolve())
  const last = call('b', 'b1')
  await nextTurn()
  assert.deepEqual(running, ['a1'])
  giveUp.abort(new Error('gave up'))
  await assert.rejects(waiting, /gave up/)
  await assert.rejects(waitingAlone, /gave up/)
  await nextTurn()
  assert.deepEqual(running, ['a1', 'b1'])
  await end('a1')
  await end('b1')
  await Promise.all([first, last])
})

test('a closed gate rejects waiting and new calls, and lets running ones end', async () => {
  const { gate, call, end } = bench(1)
  const first = call('a', 'a1')
  const second = call('b', 'b1')
  gate.close(new Error('closed'))
  await assert.rejects(second, /closed/)
  await assert.rejects(call('c', 'c1'), /stopping/)
  await nextTurn()
  await end('a1')
  assert.equal(await first, 'a1')
})

test('a failed call makes room', async () => {
  const { gate, call, end } = bench(1)
  const { signal } = new AbortController()
  await assert.rejects(
    gate.run('a', signal, () => Promise.reject(new Error('no'))),
    /no/,
  )
  const next = call('a', 'a1')
  await nextTurn()
  await end('a1')
  assert.equal(await next, 'a1')
})
