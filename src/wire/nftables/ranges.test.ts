import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Addr, Prefix } from '#/lib/addr.ts'
import { decodeRanges, encodeRanges } from './elements.ts'
import { type Range, rangesOf, rangeText } from './ranges.ts'
import { RulesetError } from './ruleset.ts'

const element = (text: string): Addr | Prefix => (text.includes('/') ? Prefix.parse(text) : Addr.parse(text))

function merged(...elements: string[]): string[] {
  return rangesOf({ name: 's', type: 'ipv4_addr', interval: true, elements: elements.map(element) }).map(rangeText)
}

describe('rangesOf', () => {
  test('merges what overlaps, touches or repeats', () => {
    assert.deepEqual(merged('10.0.1.0/24', '10.0.0.0/24', '10.0.0.7', '10.0.0.7'), ['10.0.0.0/23'])
    assert.deepEqual(merged('10.0.0.0/8', '10.1.0.0/16', '11.0.0.0'), ['10.0.0.0-11.0.0.0'])
    assert.deepEqual(merged('10.0.0.3', '10.0.0.1'), ['10.0.0.1', '10.0.0.3'])
    assert.deepEqual(merged('128.0.0.0/1', '0.0.0.0/1'), ['0.0.0.0/0'])
    assert.deepEqual(merged('255.255.255.255', '0.0.0.0'), ['0.0.0.0', '255.255.255.255'])
    assert.deepEqual(merged(), [])
  })

  test('leaves single addresses side by side in a set without intervals', () => {
    const elements = ['10.0.0.2', '10.0.0.1', '10.0.0.1', '10.0.0.1/32'].map(element)
    const ranges = rangesOf({ name: 's', type: 'ipv4_addr', interval: false, elements })
    assert.deepEqual(ranges.map(rangeText), ['10.0.0.1', '10.0.0.2'])
  })

  test('refuses what the set cannot hold, with the names of both', () => {
    const set = { name: 'nodes', type: 'ipv6_addr', interval: false } as const
    const refuses = (text: string, message: RegExp): void =>
      assert.throws(
        () => rangesOf({ ...set, elements: [element(text)] }),
        (error) => error instanceof RulesetError && message.test(error.message),
      )
    refuses('10.0.0.1', /nodes of ipv6_addr cannot hold 10\.0\.0\.1/)
    refuses('fd00::/64', /nodes holds single addresses, not fd00::\/64/)
  })

  const small = fc
    .tuple(fc.nat({ max: 63 }), fc.integer({ min: 26, max: 32 }))
    .map(([at, length]) => new Prefix(Addr.parse('255.255.255.192').plus(at), length))

  test('holds the same addresses as its elements, in ranges with gaps between', () => {
    fc.assert(
      fc.property(fc.array(small), (elements) => {
        const ranges = rangesOf({ name: 's', type: 'ipv4_addr', interval: true, elements })
        for (let at = 0; at < 64; at++) {
          const addr = Addr.parse('255.255.255.192').plus(at)
          const isIn = ranges.some(({ first, last }) => first.compare(addr) <= 0 && addr.compare(last) <= 0)
          assert.equal(
            isIn,
            elements.some((prefix) => prefix.contains(addr)),
          )
        }
        for (const [index, { first }] of ranges.entries()) {
          if (index > 0) assert.ok(first.value > ranges[index - 1]!.last.value + 1n)
        }
      }),
    )
  })
})

describe('elements of sets', () => {
  const anyPrefix = fc
    .tuple(fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), fc.integer({ min: 0, max: 128 }))
    .map(([value, length]) => new Prefix(new Addr(6, value), length))

  test('round-trip, in whatever order the kernel dumps them', () => {
    fc.assert(
      fc.property(fc.array(anyPrefix), fc.boolean(), (prefixes, interval) => {
        const elements = interval ? prefixes : prefixes.map(({ addr }) => addr)
        const ranges = rangesOf({ name: 's', type: 'ipv6_addr', interval, elements })
        const dumped = [...encodeRanges(ranges, interval)].flat().toReversed()
        const read = decodeRanges(dumped, 6, interval)
        // single addresses come as they are dumped
        assert.deepEqual((interval ? read : read?.toReversed())?.map(rangeText), ranges.map(rangeText))
      }),
    )
  })

  test('come in portions that fit an attribute', () => {
    const one = (index: number): Range => ({
      first: new Addr(6, BigInt(index * 3)),
      last: new Addr(6, BigInt(index * 3)),
    })
    const ranges = Array.from({ length: 5000 }, (_, index) => one(index))
    const portions = [...encodeRanges(ranges, true)]
    // 16 bytes of key in two headers, 8 bytes of flags, and the element's own header
    for (const portion of portions) assert.ok(portion.length * (4 + 4 + 4 + 16 + 8) < 65536)
    assert.equal(portions.flat().length, 10_000)
  })

  test('leave the end at zero out that nft writes first', () => {
    const zero = { key: { value: new Uint8Array(4) }, flags: 1 }
    const [start] = encodeRanges([{ first: Addr.parse('240.0.0.0'), last: Addr.parse('255.255.255.255') }], true)
    assert.equal(start!.length, 1, 'what goes up to the last address has no end')
    assert.deepEqual(decodeRanges([zero, ...start!], 4, true)?.map(rangeText), ['240.0.0.0/4'])
  })

  test('of another kind are not taken for ours', () => {
    const key = { value: Uint8Array.of(10, 0, 0, 1) }
    assert.equal(decodeRanges([{ flags: 2 }], 4, true), undefined)
    assert.equal(decodeRanges([{ key, timeout: new Uint8Array(8) }], 4, true), undefined)
    assert.equal(decodeRanges([{ key, expressions: new Uint8Array() }], 4, true), undefined)
    assert.equal(decodeRanges([{ key }], 6, true), undefined)
  })
})
