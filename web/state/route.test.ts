import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { routeOf, to } from './route.ts'

test('every address leads back to what it was made of, whatever the names are', () => {
  const name = fc.string({ minLength: 1, unit: 'grapheme' })
  fc.assert(
    fc.property(name, name, (a, b) => {
      assert.deepEqual(routeOf(to.node(a)), { view: 'node', name: a })
      assert.deepEqual(routeOf(to.pair(a, b)), { view: 'pair', from: a, to: b })
      assert.deepEqual(routeOf(to.finding('CW7002', `${a}/${b}`)), {
        view: 'finding',
        code: 'CW7002',
        object: `${a}/${b}`,
      })
      assert.deepEqual(routeOf(to.trace(a, b)), { view: 'trace', from: a, to: b })
      assert.deepEqual(routeOf(to.matrix(a)), { view: 'matrix', from: a })
    }),
  )
})

test('views without names, and addresses that are of none', () => {
  assert.deepEqual(
    ['', '#', '#/'].map(routeOf),
    [1, 2, 3].map(() => ({ view: 'overview' })),
  )
  assert.deepEqual(routeOf('#/bgp'), { view: 'bgp' })
  assert.deepEqual(routeOf('#/trace'), { view: 'trace' })
  assert.equal(routeOf('#/node/').view, 'unknown')
  assert.equal(routeOf('#/pair/a').view, 'unknown')
  assert.deepEqual(routeOf('#/node/%zz'), { view: 'node', name: '%zz' })
})
