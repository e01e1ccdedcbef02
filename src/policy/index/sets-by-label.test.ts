import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type LabelSelector, selects } from '#/model/label-selector.ts'
import { SetsByLabel } from './sets-by-label.ts'
import { type PeerMembership } from './state.ts'

function setOf(pods: LabelSelector): PeerMembership {
  const match = { namespaces: { kind: 'name', name: 'default' }, pods } as const
  // only what its members ask for counts here
  return { form: { match } } as unknown as PeerMembership
}

/** So many that it is worth to look for those that count. */
const many = Array.from({ length: 40 }, (_, index) => setOf([{ key: 'slot', operator: 'In', values: [`s${index}`] }]))

const keys = fc.constantFrom('app', 'tier', 'slot')
const values = fc.constantFrom('a', 'b', 'c')
const requirement = fc.record({
  key: keys,
  operator: fc.constantFrom('In' as const, 'NotIn' as const, 'Exists' as const, 'DoesNotExist' as const),
  values: fc.array(values, { maxLength: 3 }),
})
const selector = fc.array(requirement, { maxLength: 3 })

describe('SetsByLabel', () => {
  test('finds every set that takes the labels, each once, whatever was added and taken out', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(selector, fc.boolean()), { maxLength: 40 }),
        fc.array(fc.dictionary(keys, values), { maxLength: 5 }),
        (selectors, pods) => {
          const sets = new SetsByLabel()
          const all = selectors.map(([pod, isKept]) => ({ set: setOf(pod), isKept }))
          for (const { set } of all) sets.add(set)
          for (const { set, isKept } of all) if (!isKept) assert.ok(sets.delete(set))
          const kept = all.filter(({ isKept }) => isKept).map(({ set }) => set)
          assert.deepEqual(new Set(sets), new Set(kept))
          assert.equal(sets.size, kept.length)
          for (const labels of pods) {
            const found = [...sets.candidates(labels)]
            assert.equal(new Set(found).size, found.length)
            for (const set of found) assert.ok(sets.has(set))
            const taking = kept.filter(({ form }) => selects(form.match.pods, labels))
            for (const set of taking) assert.ok(found.includes(set))
          }
        },
      ),
    )
  })

  test('leaves out those that ask for another value', () => {
    const sets = new SetsByLabel()
    const wanted = setOf([{ key: 'app', operator: 'In', values: ['a', 'b'] }])
    const other = setOf([{ key: 'app', operator: 'In', values: ['c'] }])
    const any = setOf([])
    for (const set of [wanted, other, any, ...many]) sets.add(set)
    assert.deepEqual([...sets.candidates({ app: 'b', tier: 'x' })], [any, wanted])
    assert.deepEqual([...sets.candidates({ tier: 'x' })], [any])
  })

  test('looks under the label that fewer sets ask for', () => {
    const sets = new SetsByLabel()
    const part = { key: 'part-of', operator: 'In', values: ['shop'] } as const
    const all = ['a', 'b', 'c'].map((app) => setOf([part, { key: 'app', operator: 'In', values: [app] }]))
    for (const set of [...many, ...all]) sets.add(set)
    assert.equal([...sets.candidates({ 'part-of': 'shop', app: 'c' })].length, 2)
    for (const set of all) sets.delete(set)
    assert.deepEqual([...sets.candidates({ 'part-of': 'shop', app: 'c' })], [])
  })
})
