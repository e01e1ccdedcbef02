import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr, Prefix } from '#/lib/addr.ts'
import { nlriOf } from '#/wire/bgp/index.ts'
import { type Nlri } from '#/wire/bgp/values.ts'
import { NlriMap } from './nlri-map.ts'

function prefixes(count: number, length = 24): Nlri[] {
  return Array.from({ length: count }, (_, index) =>
    nlriOf(new Prefix(new Addr(4, (10n << 24n) + (BigInt(index) << BigInt(32 - length))), length)),
  )
}

test('does what a Map does, small and large', () => {
  const known = [
    ...prefixes(20),
    ...prefixes(20, 28),
    nlriOf(Prefix.parse('0.0.0.0/0')),
    nlriOf(Prefix.parse('8.0.0.0/5')),
  ]
  const step = fc.record({ nlri: fc.constantFrom(...known), value: fc.option(fc.record({ id: fc.nat() })) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), fc.boolean(), (steps, isLarge) => {
      const map = new NlriMap<{ readonly id: number }>()
      const model = new Map<Nlri, { readonly id: number }>()
      for (const nlri of isLarge ? prefixes(9000).slice(20) : []) {
        map.set(nlri, { id: 0 })
        model.set(nlri, { id: 0 })
      }
      for (const { nlri, value } of steps) {
        if (value === null) {
          map.delete(nlri)
          model.delete(nlri)
        } else {
          map.set(nlri, value)
          model.set(nlri, value)
        }
        assert.deepEqual(map.get(nlri), model.get(nlri))
      }
      assert.equal(map.size, model.size)
      assert.deepEqual(new Map(map.entries()), model)
    }),
    { numRuns: 50 },
  )
})

test('goes on over changes, also over that from small to large', () => {
  const map = new NlriMap<{ state: string }>()
  const [first, second, third, ...others] = prefixes(20_000)
  for (const nlri of [first!, second!, third!]) map.set(nlri, { state: 'old' })
  const met: string[] = []
  for (const [nlri, { state }] of map.entries()) {
    if (nlri === first) {
      for (const other of others) map.set(other, { state: 'later' })
      map.delete(second!)
      map.set(third!, { state: 'new' })
    }
    if (state !== 'later') met.push(state)
  }
  assert.deepEqual(met, ['old', 'new'])
})
