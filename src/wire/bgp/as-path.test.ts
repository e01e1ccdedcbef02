import assert from 'node:assert/strict'
import { test } from 'node:test'
import { as4PathOf, asPathLength, asPathText, mergeAs4Path } from './as-path.ts'
import { type AsSegment } from './values.ts'

const sequence = (...asns: number[]): AsSegment => ({ kind: 'sequence', asns })
const set = (...asns: number[]): AsSegment => ({ kind: 'set', asns })
const confed = (...asns: number[]): AsSegment => ({ kind: 'confedSequence', asns })
const confedSet = (...asns: number[]): AsSegment => ({ kind: 'confedSet', asns })

test('a path as routers write it, and its length (RFC 4271 section 9.1.2.2)', () => {
  const path = [confed(64512, 64513), confedSet(1, 2), sequence(65001, 65002), set(65003, 65004)]
  assert.equal(asPathText(path), '(64512 64513) [1,2] 65001 65002 {65003,65004}')
  assert.equal(asPathLength(path), 3)
  assert.equal(asPathText([]), '')
  assert.equal(asPathLength([]), 0)
})

const merged: [name: string, path: AsSegment[], as4Path: AsSegment[], expected: AsSegment[]][] = [
  ['of the same length', [sequence(23456, 65001)], [sequence(70000, 65001)], [sequence(70000, 65001)]],
  ['that an old speaker prepended', [sequence(1, 2, 23456)], [sequence(70000)], [sequence(1, 2, 70000)]],
  ['shorter than AS4_PATH', [sequence(23456)], [sequence(70000, 70001)], [sequence(23456)]],
  ['with nothing in AS4_PATH', [sequence(1, 2)], [], [sequence(1, 2)]],
  ['of several sequences', [sequence(1), sequence(2, 23456)], [sequence(70000)], [sequence(1), sequence(2, 70000)]],
  ['with a set before', [set(1, 2), sequence(23456)], [sequence(70000)], [set(1, 2), sequence(70000)]],
  ['with a leading confederation', [confed(9), sequence(23456)], [sequence(70000)], [confed(9), sequence(70000)]],
  [
    'with a confederation next to what is prepended',
    [sequence(1), confed(9), sequence(23456)],
    [sequence(70000)],
    [sequence(1), confed(9), sequence(70000)],
  ],
  [
    'with a confederation behind that',
    [sequence(1, 23456), confed(9), sequence(3)],
    [sequence(70000, 3)],
    [sequence(1, 70000, 3)],
  ],
]
for (const [name, path, as4Path, expected] of merged) {
  test(`AS4_PATH completes a path ${name} (RFC 6793 section 4.2.3)`, () => {
    assert.deepEqual(mergeAs4Path(path, as4Path), expected)
  })
}

test('a sequence that was cut is put together unless no segment can hold it', () => {
  const long = Array.from({ length: 254 }, (_, index) => index + 1)
  assert.deepEqual(mergeAs4Path([sequence(9, ...long)], [sequence(...long)]), [sequence(9, ...long)])
  const full = [...long, 255]
  assert.deepEqual(mergeAs4Path([sequence(9), sequence(...full)], [sequence(...full)]), [
    sequence(9),
    sequence(...full),
  ])
})

test('AS4_PATH is written only where it says more, without confederations (RFC 6793 section 4.2.2)', () => {
  assert.equal(as4PathOf([sequence(1, 65535)]), undefined)
  assert.deepEqual(as4PathOf([confed(64512), sequence(1, 65536)]), [sequence(1, 65536)])
})
