import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { wrapText, wrapWords } from './wrap.ts'

test('lines break between words, and words that are longer than a line anywhere', () => {
  assert.deepEqual(wrapWords('one two three', 8), ['one two', 'three'])
  assert.deepEqual(wrapWords('abcdefghij k', 4), ['abcd', 'efgh', 'ij k'])
  assert.deepEqual(wrapWords('', 4), [''])
})

test('a description goes on below itself', () => {
  assert.equal(
    wrapText('  --nodes N   how many nodes there are', 28),
    ['  --nodes N   how many nodes', '              there are'].join('\n'),
  )
  assert.equal(wrapText('! a b c d', 5), '! a b\nc d')
})

test('no line is longer than asked for, and no letter is lost', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme-ascii', maxLength: 200 }),
      fc.integer({ min: 8, max: 80 }),
      (text, width) => {
        const wrapped = wrapText(text, width)
        for (const line of wrapped.split('\n')) assert.ok(line.length <= width, line)
        assert.equal(wrapped.replaceAll(/\s/g, ''), text.replaceAll(/\s/g, ''))
      },
    ),
  )
})
