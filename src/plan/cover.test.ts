import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr, Prefix } from '#/lib/addr.ts'
import { unionOf } from './cover.ts'

const anyPrefix = fc
  .record({ isV6: fc.boolean(), last: fc.nat(63), shorter: fc.nat(6) })
  .map(({ isV6, last, shorter }) =>
    isV6
      ? new Prefix(Addr.parse('fd10::').plus(BigInt(last) << 64n), 64 - shorter)
      : new Prefix(Addr.parse('10.244.0.0').plus(BigInt(last) << 8n), 24 - shorter),
  )

/** Every /24 and /64 in the ranges that the prefixes above come from. */
const parts = Array.from({ length: 64 }, (_, index) => [
  new Prefix(Addr.parse('10.244.0.0').plus(BigInt(index) << 8n), 24),
  new Prefix(Addr.parse('fd10::').plus(BigInt(index) << 64n), 64),
]).flat()

test('a union holds what its prefixes hold and nothing else, in as few as can be, sorted', () => {
  fc.assert(
    fc.property(fc.array(anyPrefix, { maxLength: 40 }), (prefixes) => {
      const union = unionOf(prefixes)
      const isIn = (part: Prefix, all: readonly Prefix[]): boolean => all.some((each) => each.contains(part))
      for (const part of parts) assert.equal(isIn(part, union), isIn(part, prefixes), String(part))
      for (const [index, each] of union.entries()) {
        const next = union[index + 1]
        if (!next) continue
        assert.ok(each.compare(next) < 0)
        assert.ok(!each.overlaps(next))
        assert.ok(each.length !== next.length || !each.parent.equals(next.parent), `${each} and ${next} are one`)
      }
    }),
  )
})

test('the CIDRs of all nodes but one are few', () => {
  const all = Array.from({ length: 256 }, (_, index) => Prefix.parse(`10.244.${index}.0/24`))
  assert.deepEqual(unionOf(all).map(String), ['10.244.0.0/16'])
  assert.equal(unionOf(all.filter((_, index) => index !== 77)).length, 8)
})
