import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { pairsOf } from './pairs.ts'
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
