import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RoundRobin } from './round-robin.ts'

function setUp(): { turns: RoundRobin; order: string[]; round(): void; pass(ms: number): void; rounds(): number } {
  const deferred: (() => void)[] = []
  let nowMs = 0
  const turns = new RoundRobin({ roundMs: 5 }, { defer: (call) => deferred.push(call), nowMs: () => nowMs })
  return {
    turns,
    order: [],
    round: () => deferred.shift()?.(),
    pass: (ms) => (nowMs += ms),
    rounds: () => deferred.length,
  }
}

test('who has much to do has one turn a round, like everybody', () => {
  const { turns, order, round, rounds } = setUp()
  let left = 100
  turns.add({ run: () => (order.push('much'), --left > 0) })
  turns.add({ run: () => (order.push('little'), false) })
  round()
  assert.deepEqual(order, ['much', 'little'])
  turns.add({ run: () => (order.push('late'), false) })
  round()
  assert.deepEqual(order, ['much', 'little', 'much', 'late'])
  while (rounds() > 0) round()
  assert.equal(order.length, 102)
})

test('a round ends when its time is over, and the next one begins with those who had no turn', () => {
  const { turns, order, round, pass } = setUp()
  for (const name of ['a', 'b', 'c'])
    turns.add({
      run: (untilMs) => {
        assert.ok(untilMs > 0)
        order.push(name)
        pass(3)
        return true
      },
    })
  round()
  assert.deepEqual(order, ['a', 'b'])
  round()
  assert.deepEqual(order, ['a', 'b', 'c', 'a'])
})

test('a turn that fails takes no other with it', () => {
  const { turns, order, round, rounds } = setUp()
  turns.add({
    run() {
      throw new Error('a bug')
    },
  })
  turns.add({ run: () => (order.push('other'), false) })
  assert.throws(round, /a bug/)
  round()
  assert.deepEqual([order, rounds()], [['other'], 0])
})
