import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Writer } from './bytes.ts'

test('Writer grows under every kind of write, and what was written stays', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(1, 2, 4, 8), { maxLength: 60 }), (sizes) => {
      const into = new Writer(1)
      const expected: number[] = []
      for (const [index, size] of sizes.entries()) {
        const value = index % 251
        if (size === 1) into.u8(value)
        else if (size === 2) into.u16be(value)
        else if (size === 4) into.u32be(value)
        else into.u64be(BigInt(value))
        expected.push(...Array.from({ length: size - 1 }, () => 0), value)
      }
      assert.deepEqual([...into.toBytes()], expected)
    }),
  )
})

test('Writer writes little-endian, patches and aligns', () => {
  const into = new Writer(1)
  into.u16le(0)
  into.u32le(0x01020304)
  into.patchU16le(0, 0x0506)
  into.align(4)
  into.bytes(Uint8Array.of(9))
  assert.deepEqual([...into.toBytes()], [6, 5, 4, 3, 2, 1, 0, 0, 9])
})
