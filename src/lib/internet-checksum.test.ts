import assert from 'node:assert/strict'
import { test } from 'node:test'
import { internetChecksum } from './internet-checksum.ts'

test('the checksum is that of the example in RFC 1071 section 3', () => {
  assert.equal(internetChecksum(Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7)), ~0xddf2 & 0xffff)
  assert.equal(internetChecksum(Uint8Array.of(1)), 0xfeff)
})
