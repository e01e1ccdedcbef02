import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type LabelSelector, labelSelectorOf, selects, selectsNothing } from './label-selector.ts'

function read(value: unknown): LabelSelector {
  const selector = labelSelectorOf(value)
  if (typeof selector === 'string') assert.fail(selector)
  return selector
}

test('labels and expressions must all hold, as in Kubernetes', () => {
  const cases: [unknown, Record<string, string>, boolean][] = [
    [{}, { a: '1' }, true],
    [{ matchLabels: { a: '1' } }, { a: '1', b: '2' }, true],
    [{ matchLabels: { a: '1', b: '1' } }, { a: '1', b: '2' }, false],
    [{ matchLabels: { a: '' } }, {}, false],
    [{ matchExpressions: [{ key: 'a', operator: 'In', values: ['1', '2'] }] }, { a: '2' }, true],
    [{ matchExpressions: [{ key: 'a', operator: 'NotIn', values: ['1'] }] }, {}, true],
    [{ matchExpressions: [{ key: 'a', operator: 'NotIn', values: ['1'] }] }, { a: '1' }, false],
    [{ matchExpressions: [{ key: 'a', operator: 'Exists' }] }, { a: '' }, true],
    [{ matchExpressions: [{ key: 'a', operator: 'DoesNotExist' }] }, { a: '' }, false],
    [{ matchLabels: { a: '1' }, matchExpressions: [{ key: 'b', operator: 'Exists' }] }, { a: '1' }, false],
    // no label, whatever objects inherit
    [{ matchExpressions: [{ key: 'constructor', operator: 'Exists' }] }, {}, false],
  ]
  for (const [value, labels, wanted] of cases) assert.equal(selects(read(value), labels), wanted, JSON.stringify(value))
})

test('a value that is no selector is refused with a message', () => {
  for (const [value, words] of [
    ['a=b', /is no selector/],
    [{ matchLabels: { a: 1 } }, /matchLabels\[a\] is no text/],
    [{ matchLabels: [] }, /matchLabels is no map/],
    [
      { matchExpressions: [{ key: 'a', operator: 'Is' }] },
      /matchExpressions\[0\]\.operator: expected one of In, NotIn/,
    ],
    [{ matchExpressions: [{ key: 'a', operator: 'In' }] }, /matchExpressions\[0\]\.values is empty/],
    [{ matchExpressions: [{ operator: 'Exists' }] }, /matchExpressions\[0\]\.key is missing/],
  ] as const) {
    const selector = labelSelectorOf(value)
    assert.match(typeof selector === 'string' ? selector : 'read', words)
  }
})

test('nothing but a selector is read, and nothing makes the reader throw', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.dictionary(fc.string(), fc.string()), (value, labels) => {
      const selector = labelSelectorOf(value)
      if (typeof selector !== 'string') assert.equal(typeof selects(selector, labels), 'boolean')
      assert.equal(selects(selectsNothing, labels), false)
    }),
  )
})
