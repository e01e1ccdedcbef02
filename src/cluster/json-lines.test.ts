import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { JsonLineDecoder, JsonLineError } from './json-lines.ts'

const decode = (decoder: JsonLineDecoder, chunks: readonly Uint8Array[]): unknown[] =>
  chunks.flatMap((chunk) => [...decoder.push(chunk)])
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Cuts at the given places, which may fall inside of a character. */
function cutAt(whole: Uint8Array, places: readonly number[]): Uint8Array[] {
  const cuts = [0, ...places.map((place) => place % (whole.length + 1)).sort((a, b) => a - b), whole.length]
  return cuts.slice(1).map((end, index) => whole.subarray(cuts[index], end))
}

test('values come out the same however the stream is cut', () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), fc.array(fc.nat()), (values, places) => {
      const decoder = new JsonLineDecoder({ maxLineBytes: 1 << 20 })
      const lines = values.map((value) => JSON.stringify(value))
      const found = decode(decoder, cutAt(bytes(lines.map((line) => `${line}\n`).join('')), places))
      assert.deepEqual(
        found,
        lines.map((line): unknown => JSON.parse(line)),
      )
      assert.equal(decoder.pendingBytes, 0)
    }),
  )
})

test('any bytes at all give values or a JsonLineError, in bounded memory', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (chunks) => {
      const decoder = new JsonLineDecoder({ maxLineBytes: 64 })
      try {
        decode(decoder, chunks)
      } catch (error) {
        assert.ok(error instanceof JsonLineError, String(error))
      }
      assert.ok(decoder.pendingBytes <= 64 + 40)
    }),
  )
})

test('a line over the limit is refused before it is whole', () => {
  const decoder = new JsonLineDecoder({ maxLineBytes: 8 })
  assert.deepEqual(decode(decoder, [bytes('[1,2,3]\n'), bytes('[1,')]), [[1, 2, 3]])
  assert.equal(decoder.pendingBytes, 3)
  assert.throws(() => decode(decoder, [bytes('2,3,4,')]), /longer than 8 bytes/)
})

test('empty lines and carriage returns are ignored', () => {
  assert.deepEqual(decode(new JsonLineDecoder({ maxLineBytes: 99 }), [bytes('\n\r\n{"a":1}\r\n\n')]), [{ a: 1 }])
})
