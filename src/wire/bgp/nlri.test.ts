import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Prefix } from '#/lib/addr.ts'
import { type Nlri, nlriOf, prefixOf } from './index.ts'
import { anyFamily, anyNlri } from './testing/arbitraries.ts'

test('a prefix is the same after it was an Nlri', () => {
  fc.assert(
    fc.property(
      anyFamily.chain((family) => fc.tuple(fc.constant(family), anyNlri(family))),
      ([family, one]) => {
        const prefix = prefixOf(one, family)
        assert.equal(nlriOf(prefix), one)
        assert.equal(prefix.family, family)
        assert.equal(one.charCodeAt(0), prefix.length)
      },
    ),
  )
  assert.equal(nlriOf(Prefix.parse('10.128.0.0/9')), '\x09\x0a\x80')
  assert.equal(String(prefixOf('\x30\x20\x01\x0d\xb8\x00\x01' as Nlri, 6)), '2001:db8:1::/48')
})
