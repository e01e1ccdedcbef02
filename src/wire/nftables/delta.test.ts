import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { change, type NftDelta, deltaRequests, isEmptyDelta, preparation } from './delta.ts'
import { portionsOf } from './requests.ts'
import { type NftKeySet, type NftRule, RulesetError } from './ruleset.ts'

const is = { family: 'inet', name: 't' } as const
const addr = Addr.parse('10.0.0.1')
const ports: NftRule = {
  comment: 'ports',
  match: [
    { kind: 'l4proto', protocol: 'tcp' },
    {
      kind: 'ports',
      field: 'dport',
      ranges: [
        { first: 1, last: 1 },
        { first: 5, last: 9 },
      ],
    },
  ],
  action: { kind: 'accept' },
}
const keySet: NftKeySet = { name: 'n', type: ['ipv4_addr', 'ipv4_addr'], elements: [] }
const delta: NftDelta = {
  addSets: [{ name: 's', type: 'ipv4_addr', interval: false, elements: [addr] }],
  addKeySets: [{ name: 'k', type: ['ifname'], elements: [] }],
  addChains: [
    { name: 'base', hook: { type: 'filter', hook: 'input', priority: 0 }, rules: [ports] },
    { name: 'a', rules: [ports] },
  ],
  setRules: new Map([['b', [ports]]]),
  addElements: [{ kind: 'keys', set: keySet, keys: [[addr, addr]] }],
  deleteElements: [{ kind: 'keys', set: keySet, keys: [[addr, addr]] }],
  deleteChains: ['c'],
  deleteSets: ['o'],
}
const texts = (requests: Iterable<{ readonly what: string }>): string[] =>
  [...requests].map(({ what }) => what.replace(/^nft /, '').replace(/ \[[0-9a-f]{8}\]/, ''))

describe('the requests of a delta', () => {
  test('come in an order that the kernel takes', () => {
    assert.deepEqual(texts(deltaRequests(is, delta)), [
      'add table inet t',
      'add set inet t k',
      'add set inet t s',
      'add element inet t s',
      'add chain inet t a',
      // the set without a name, its elements, and the rule
      ...Array<string>(3).fill('add rule inet t a "ports"'),
      'add chain inet t base',
      'delete element inet t n { 10.0.0.1 . 10.0.0.1 }',
      'flush chain inet t b',
      'flush chain inet t c',
      ...Array<string>(3).fill('add rule inet t base "ports"'),
      ...Array<string>(3).fill('add rule inet t b "ports"'),
      'add element inet t n { 10.0.0.1 . 10.0.0.1 }',
      'delete set inet t o',
      'delete chain inet t c',
    ])
  })

  test('come in two parts: what nothing refers to yet, and what packets meet', () => {
    const all = texts(deltaRequests(is, delta)).slice(1)
    const parts = [texts(preparation(is, delta)), texts(change(is, delta))]
    assert.deepEqual(parts.flat(), all)
    assert.equal(parts[1]![0], 'add chain inet t base')
  })

  test('may be divided, but not between a rule and its sets', () => {
    const portions = [...portionsOf(preparation(is, delta), () => true)].map((portion) => texts(portion).length)
    assert.deepEqual(portions, [1, 1, 1, 1, 3])
    assert.deepEqual(
      [...portionsOf(preparation(is, delta), () => false)].map(({ length }) => length),
      [7],
    )
    assert.deepEqual([...portionsOf([], () => true)], [])
  })

  test('are none when nothing is to change', () => {
    assert.ok(isEmptyDelta({}))
    assert.ok(isEmptyDelta({ addSets: [], setRules: new Map() }))
    assert.ok(!isEmptyDelta(delta))
    assert.ok(!isEmptyDelta({ deleteChains: ['c'] }))
  })

  test('are refused for what cannot be meant, with its name', () => {
    const cases: [NftDelta, RegExp][] = [
      [
        { setRules: new Map([['b', [{ ...ports, comment: '"' }]]]) },
        /^rule """ in chain b of table t: the comment must be/,
      ],
      [{ addChains: [{ name: 'x', policy: 'drop', rules: [] }] }, /^chain x of table t: only a chain with a hook/],
      [
        { deleteElements: [{ kind: 'keys', set: { name: 'k', type: ['ifname'] }, keys: [[addr]] }] },
        /^set k of ifname cannot hold 10\.0\.0\.1/,
      ],
    ]
    for (const [wrong, message] of cases)
      assert.throws(
        () => deltaRequests(is, wrong),
        (error) => error instanceof RulesetError && message.test(error.message),
      )
  })
})
