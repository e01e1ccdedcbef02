import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { decodeValueSet, encodeValueSet, mergeNumbers, valueSet, valueSetText } from './value-set.ts'

const ports = fc.array(
  fc
    .tuple(fc.nat({ max: 0xffff }), fc.nat({ max: 200 }))
    .map(([first, more]) => ({ first, last: Math.min(0xffff, first + more) })),
  { minLength: 1, maxLength: 30 },
)

describe('a list of numbers', () => {
  test('holds the same numbers when it is merged', () => {
    fc.assert(
      fc.property(ports, fc.nat({ max: 0xffff }), (ranges, number) => {
        const has = (list: typeof ranges): boolean => list.some(({ first, last }) => first <= number && number <= last)
        const merged = mergeNumbers(ranges)
        assert.equal(has(merged), has(ranges))
        for (const [index, range] of merged.entries())
          assert.ok(index === 0 || range.first > merged[index - 1]!.last + 1)
      }),
    )
  })

  test('is the same after the kernel had it, in whatever order it dumps the elements', () => {
    fc.assert(
      fc.property(ports, fc.infiniteStream(fc.nat()), (ranges, random) => {
        const set = valueSet('inet_service', ranges)
        const { flags, keyType, elements } = encodeValueSet(set)
        const dumped = elements
          .map((element) => ({ element, at: random.next().value! }))
          .sort((a, b) => a.at - b.at)
          .map(({ element }) => element)
        assert.deepEqual(decodeValueSet(keyType, flags, dumped), set)
      }),
    )
  })

  test('without ranges is a plain set, and has one text', () => {
    const set = valueSet('inet_service', [
      { first: 443, last: 443 },
      { first: 80, last: 80 },
    ])
    assert.equal(encodeValueSet(set).flags, 3)
    assert.equal(valueSetText(set), 'inet_service{80,443}')
  })

  test('up to the last number has no end', () => {
    const { flags, elements } = encodeValueSet(valueSet('inet_proto', [{ first: 7, last: 255 }]))
    assert.equal(flags, 7)
    assert.deepEqual(elements, [{ key: { value: Uint8Array.of(7) } }])
  })

  test('of another kind is none of ours', () => {
    const { flags, keyType, elements } = encodeValueSet(valueSet('inet_service', [{ first: 1, last: 9 }]))
    assert.equal(decodeValueSet(41, flags, elements), undefined)
    assert.equal(decodeValueSet(keyType, flags & ~1, elements), undefined)
    assert.equal(decodeValueSet(keyType, flags, [{ key: { value: new Uint8Array(4) } }]), undefined)
    assert.equal(decodeValueSet(keyType, flags, [{ ...elements[0], timeout: new Uint8Array(8) }]), undefined)
  })
})
