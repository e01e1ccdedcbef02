import assert from 'node:assert/strict'
import { test } from 'node:test'
import { definitionList } from './definition-list.ts'

test('texts stand beside their terms, broken into lines of at most 80 characters', () => {
  const text = 'word '.repeat(20).trim()
  const list = definitionList(
    [
      ['--short', 'what it does'],
      ['--much-longer N', text],
    ],
    8,
  )
  assert.deepEqual(list.split('\n'), [
    '  --short   what it does',
    '  --much-longer N',
    `            ${'word '.repeat(13).trim()}`,
    `            ${'word '.repeat(7).trim()}`,
  ])
})

test('a word that is longer than a line stands on one of its own', () => {
  const long = 'x'.repeat(90)
  assert.equal(definitionList([['a', `before ${long} after`]], 1), `  a  before\n     ${long}\n     after`)
})
