import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr, Prefix } from './addr.ts'
import { PrefixUnion } from './prefix-union.ts'

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

test('a union holds what its prefixes hold and nothing else, in as few as can be, sorted, after any changes', () => {
  const step = fc.record({ prefix: anyPrefix, isRemoved: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const union = new PrefixUnion()
      const held: Prefix[] = []
      for (const { prefix, isRemoved } of steps) {
        const index = held.findIndex((each) => each.equals(prefix))
        if (isRemoved) {
          union.remove(prefix)
          if (index >= 0) held.splice(index, 1)
        } else {
          union.add(prefix)
          held.push(prefix)
        }
      }
      const { prefixes } = union
      const isIn = (part: Prefix, all: readonly Prefix[]): boolean => all.some((each) => each.contains(part))
      for (const part of parts) assert.equal(isIn(part, prefixes), isIn(part, held), String(part))
      for (const [index, each] of prefixes.entries()) {
        const next = prefixes[index + 1]
        if (!next) continue
        assert.ok(each.compare(next) < 0)
        assert.ok(!each.overlaps(next))
        assert.ok(each.length !== next.length || !each.parent.equals(next.parent), `${each} and ${next} are one`)
      }
    }),
  )
})

test('the CIDRs of all nodes but one are few, and only a change of them is another version', () => {
  const all = Array.from({ length: 256 }, (_, index) => Prefix.parse(`10.244.${index}.0/24`))
  const union = new PrefixUnion()
  for (const each of all) union.add(each)
  assert.deepEqual(union.prefixes.map(String), ['10.244.0.0/16'])
  const { version } = union
  union.add(all[77]!)
  union.remove(all[77]!)
  assert.equal(union.version, version)
  union.remove(all[77]!)
  assert.equal(union.prefixes.length, 8)
  assert.notEqual(union.version, version)
})
