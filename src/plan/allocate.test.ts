import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Prefix } from '#/lib/addr.ts'
import { isInPool, nextFree, poolOf } from './allocate.ts'

test('a /29 has five addresses for pods; a /30 one, a /31 none', () => {
  assert.deepEqual(
    ['10.0.0.0/29', '10.0.0.0/30', '10.0.0.0/31', 'fd00::/126'].map((cidr) => poolOf(Prefix.parse(cidr)).count),
    [5n, 1n, 0n, 2n],
  )
})

test('addresses go round before one is given again', () => {
  const cidr = Prefix.parse('10.0.0.0/29')
  const given = []
  let last
  for (let turn = 0; turn < 6; turn++) {
    last = nextFree(cidr, last, () => false)
    given.push(String(last))
  }
  assert.deepEqual(given, ['10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.6', '10.0.0.2'])
})

test('any pool: what is given is free and for pods, and nothing is given only when all are used', () => {
  fc.assert(
    fc.property(fc.integer({ min: 26, max: 31 }), fc.array(fc.nat(63)), fc.nat(63), (length, used, lastOffset) => {
      const cidr = new Prefix(Prefix.parse('10.0.0.0/24').addr, length)
      const inUse = new Set(used.map((offset) => String(cidr.addr.plus(offset))))
      const found = nextFree(cidr, cidr.addr.plus(lastOffset), (addr) => inUse.has(String(addr)))
      const all = Array.from({ length: Number(cidr.size) }, (_, offset) => cidr.addr.plus(offset)).filter((addr) =>
        isInPool(cidr, addr),
      )
      if (found) assert.ok(isInPool(cidr, found) && !inUse.has(String(found)))
      else assert.ok(all.every((addr) => inUse.has(String(addr))))
    }),
  )
})
