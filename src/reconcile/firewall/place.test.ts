import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DecodedExpression } from '#/wire/nftables/expressions.ts'
import { type ForeignRule } from '#/wire/nftables/foreign-rule.ts'
import { edited, editOf } from './place.ts'

/** The name of a rule says what it is: "o1", "o2" ours, "drop", "reject", "REJECT" unconditional ends, all else some rule of others. */
function rule(name: string, handle: number): ForeignRule {
  const expressions: DecodedExpression[] = []
  if (name === 'drop') expressions.push({ name: 'immediate', attrs: { data: { verdict: { code: 0 } } } })
  if (name === 'reject') expressions.push({ name: 'log', attrs: {} }, { name: 'reject', attrs: {} })
  if (name === 'REJECT') expressions.push({ name: 'counter', attrs: {} }, { name: 'target', attrs: { name: 'REJECT' } })
  return { handle: BigInt(handle), comment: name, does: name, expressions }
}

const isOurs = ({ comment }: ForeignRule): boolean => comment?.startsWith('o') === true
const isRight = ({ does }: ForeignRule, index: number): boolean => does === `o${index + 1}`

/** The chain after the edit; undefined when there is nothing to do. */
function after(names: string, dropsByPolicy: boolean, count = 2): string | undefined {
  const rules = names.split(' ').filter(Boolean).map(rule)
  const { edit } = editOf({ dropsByPolicy, rules }, count, isOurs, isRight)
  const ours = ['o1', 'o2'].slice(0, count).map((name, index) => rule(name, 100 + index))
  return (
    edit &&
    edited(rules, edit, ours)
      .map(({ comment }) => comment)
      .join(' ')
  )
}

test('the accepts override the default alone', () => {
  for (const [before, policy, expected] of [
    ['', true, 'o1 o2'],
    ['a b', true, 'a b o1 o2'],
    ['a b', false, undefined],
    ['a drop', true, 'a o1 o2 drop'],
    ['a reject', false, 'a o1 o2 reject'],
    ['REJECT', false, 'o1 o2 REJECT'],
    // an end with rules behind it is meant to cut those off
    ['a drop b', false, undefined],
    ['a drop b', true, 'a drop b o1 o2'],
    ['a drop b reject', false, undefined],
  ] as const)
    assert.equal(after(before, policy), expected, before)
})

test('accepts that work stay where they are; others go to their place', () => {
  for (const [before, policy, expected] of [
    ['a o1 o2', true, undefined],
    ['a o1 o2 drop', false, undefined],
    // the rule behind the end came later, and never saw a packet
    ['a o1 o2 drop b', false, undefined],
    ['a o2 drop b', false, 'a o1 o2 drop b'],
    ['o1 o2 a', true, 'a o1 o2'],
    ['a o1 o2 b', true, 'a b o1 o2'],
    ['o1 a o2', true, 'a o1 o2'],
    ['a o2 o1', true, 'a o1 o2'],
    ['a o1 o2 o2', true, 'a o1 o2'],
    ['a o1 o9', true, 'a o1 o2'],
    // no default left to override
    ['a o1 o2', false, 'a'],
  ] as const)
    assert.equal(after(before, policy), expected, before)
  assert.equal(after('a o1 o2 drop', true, 0), 'a drop')
  assert.equal(after('a drop', true, 0), undefined)
})
