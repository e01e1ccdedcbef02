import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr, Prefix } from '#/lib/addr.ts'
import { isDeviceMac, podMac } from '#/model/names.ts'
import { byFamily, chooseAddress, chooseMac, isInPool, nextFree, poolOf } from './allocate.ts'

test('a /29 has five addresses for pods; a /30 one, a /31 none', () => {
  assert.deepEqual(
    ['10.0.0.0/29', '10.0.0.0/30', '10.0.0.0/31', 'fd00::/126'].map((cidr) => poolOf(Prefix.parse(cidr)).count),
    [5n, 1n, 0n, 2n],
  )
})

test('no address is given again before all others of the CIDR', () => {
  const cidr = Prefix.parse('10.0.0.0/29')
  const given = []
  let last
  for (let turn = 0; turn < 6; turn++) {
    last = nextFree(cidr, last, () => false)
    given.push(String(last))
  }
  assert.deepEqual(given, ['10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.6', '10.0.0.2'])
})

test('from any pool a free address for pods is given, and none only when all are in use', () => {
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

test('in any state of several CIDRs the first with a free address serves; a resting address is given only when no other is free, the longest rested first', () => {
  const cidrs = ['10.0.0.0/29', '10.0.1.0/30', '10.0.2.0/31'].map(Prefix.parse)
  const all = cidrs.flatMap((cidr) =>
    Array.from({ length: Number(poolOf(cidr).count) }, (_, offset) => cidr.addr.plus(offset + 2)),
  )
  const state = fc.constantFrom('free', 'used', 'resting')
  fc.assert(
    fc.property(fc.array(state, { minLength: all.length, maxLength: all.length }), fc.nat(7), (states, last) => {
      const those = (wanted: string) => all.filter((_, index) => states[index] === wanted).map(String)
      const [used, resting] = [those('used'), those('resting').toReversed()]
      const found = chooseAddress(cidrs, {
        isUsed: (addr) => used.includes(String(addr)),
        resting: resting.map(Addr.parse),
        last: (cidr) => cidr.addr.plus(Math.min(last, Number(cidr.size) - 1)),
      })
      const free = those('free')
      if (found === undefined) return assert.equal(used.length, all.length)
      assert.ok(isInPool(found.cidr, found.addr))
      if (free.length === 0) assert.equal(String(found.addr), resting[0])
      else {
        const first = cidrs.find((cidr) => free.some((addr) => cidr.contains(Addr.parse(addr))))
        assert.ok(free.includes(String(found.addr)) && found.cidr === first)
      }
    }),
  )
})

test('CIDRs are grouped by family, in the order of their first', () => {
  const groups = byFamily(['fd00::/64', '10.0.0.0/24', 'fd01::/64'].map(Prefix.parse))
  assert.deepEqual(
    groups.map(([family, cidrs]) => `${family}: ${cidrs.join(' ')}`),
    ['6: fd00::/64 fd01::/64', '4: 10.0.0.0/24'],
  )
})

test('a derived MAC is the usual one for the address, or the next of its series that no other pod has', () => {
  const any = fc.oneof(
    fc.ipV4().map((text) => Addr.parse(text)),
    fc.ipV6().map((text) => Addr.parse(text)),
  )
  fc.assert(
    fc.property(any, fc.uniqueArray(fc.nat(9)), (addr, attempts) => {
      const used = new Set(attempts.map((attempt) => podMac(addr, attempt)))
      assert.equal(used.size, attempts.length)
      const mac = chooseMac(addr, (each) => used.has(each))
      assert.ok(!used.has(mac))
      assert.equal(mac === podMac(addr), !attempts.includes(0))
      assert.match(mac, /^0a:5[89](:[0-9a-f]{2}){4}$/)
      assert.ok(!isDeviceMac(mac))
    }),
  )
})
