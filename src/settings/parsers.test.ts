import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { podCIDRs } from './parsers.ts'
import { SettingError } from './setting.ts'

test('any text is a list of CIDRs that do not overlap, or a SettingError', () => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f.:/,]{0,40}$/))
  fc.assert(
    fc.property(text, (list) => {
      try {
        const prefixes = podCIDRs(list, 'list')
        assert.ok(prefixes.every((prefix, index) => !prefixes.slice(0, index).some((other) => other.overlaps(prefix))))
      } catch (error) {
        assert.ok(error instanceof SettingError)
      }
    }),
  )
})
