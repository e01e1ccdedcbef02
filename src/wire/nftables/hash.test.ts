import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fnv1a } from './hash.ts'

test('fnv1a gives the hashes that its authors publish', () => {
  for (const [text, hash] of [
    ['', '811c9dc5'],
    ['a', 'e40c292c'],
    ['foobar', 'bf9cf968'],
  ] as const)
    assert.equal(fnv1a(text), hash)
})
