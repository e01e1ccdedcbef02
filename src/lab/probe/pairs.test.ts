import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { eachOf, pairsOf } from './pairs.ts'
import type { ProbePod } from './types.ts'

function pod(name: string, ...addrs: string[]): ProbePod {
  return { name, node: 'node-1', netnsPath: `/run/netns/${name}`, addrs: addrs.map((addr) => Addr.parse(addr)) }
}

test('pairsOf has all ordered pairs of the families that both ends have', () => {
  const pods = [pod('a', '10.0.0.1', 'fd00::1'), pod('b', '10.0.0.2'), pod('c', 'fd00::3', '10.0.0.3')]
  const shown = (families: (4 | 6)[]): string[] =>
    pairsOf(pods, families).map(({ from, to, target }) => `${from.name}${to.name} ${target}`)
  assert.deepEqual(shown([4, 6]), [
    'ab 10.0.0.2',
    'ac 10.0.0.3',
    'ac fd00::3',
    'ba 10.0.0.1',
    'bc 10.0.0.3',
    'ca 10.0.0.1',
    'ca fd00::1',
    'cb 10.0.0.2',
  ])
  assert.deepEqual(shown([6]), ['ac fd00::3', 'ca fd00::1'])
})

test('eachOf keeps the order of the items and to its limit', async () => {
  let running = 0
  let most = 0
  const items = Array.from({ length: 200 }, (_, index) => index)
  const results = await eachOf(items, 40, async (item) => {
    most = Math.max(most, ++running)
    for (let turns = item % 7; turns >= 0; turns--) await setImmediate()
    running--
    return item * 2
  })
  assert.deepEqual(
    results,
    items.map((item) => item * 2),
  )
  assert.ok(most > 16 && most <= 40, String(most))
})

test('eachOf of nothing is nothing, and errors come through', async () => {
  assert.deepEqual(await eachOf([], 4, async () => 1), [])
  await assert.rejects(
    eachOf([1, 2, 3], 2, async () => {
      throw new Error('no')
    }),
    /no/,
  )
})
