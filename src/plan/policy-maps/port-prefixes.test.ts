import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { lastPort, portPrefixes, type PortRun } from './port-prefixes.ts'

const runs = fc.array(fc.tuple(fc.integer({ min: 1, max: lastPort }), fc.nat(2)), { maxLength: 8 }).map((begins) => {
  const firsts = [...new Map([[0, 0], ...begins])].sort(([a], [b]) => a - b)
  return firsts.map(([first, value], index): PortRun<number> => ({
    first,
    last: (firsts[index + 1]?.[0] ?? lastPort + 1) - 1,
    value,
  }))
})

test('the longest prefix of a port has the value of its run', () => {
  fc.assert(
    fc.property(runs, fc.nat(2), fc.array(fc.nat(lastPort)), (all, inherited, more) => {
      const prefixes = portPrefixes(all, inherited)
      for (const port of [...more, ...all.flatMap(({ first, last }) => [first, last])]) {
        const held = prefixes.filter((each) => port >> (16 - each.bits) === each.port >> (16 - each.bits))
        const longest = held.reduce((best, each) => (each.bits > best.bits ? each : best), {
          bits: -1,
          value: inherited,
        })
        assert.equal(longest.value, all.find(({ first, last }) => first <= port && port <= last)!.value)
      }
    }),
  )
})

test('there are no more entries than it takes', () => {
  const run = (first: number, last: number, value: string): PortRun<string> => ({ first, last, value })
  assert.deepEqual(portPrefixes([run(0, lastPort, 'no')], 'no'), [])
  assert.deepEqual(portPrefixes([run(0, lastPort, 'yes')], 'no'), [{ port: 0, bits: 0, value: 'yes' }])
  const one = [run(0, 79, 'no'), run(80, 80, 'yes'), run(81, lastPort, 'no')]
  assert.deepEqual(portPrefixes(one, 'no'), [{ port: 80, bits: 16, value: 'yes' }])
  const high = [run(0, 1023, 'no'), run(1024, lastPort, 'yes')]
  assert.deepEqual(portPrefixes(high, 'no'), [
    { port: 0, bits: 0, value: 'yes' },
    { port: 0, bits: 6, value: 'no' },
  ])
})
