import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr, Prefix } from '#/lib/addr.ts'
import { prefixesOfBlocks } from './blocks.ts'

const textsOf = (blocks: readonly (readonly [string, ...string[]])[]): string[] =>
  prefixesOfBlocks(
    blocks.map(([cidr, ...except]) => ({ cidr: Prefix.parse(cidr), except: except.map((each) => Prefix.parse(each)) })),
  ).map(String)

test('blocks become the fewest prefixes, without what each of them excepts', () => {
  assert.deepEqual(textsOf([['10.0.0.0/25'], ['10.0.0.128/25'], ['10.0.0.7/32']]), ['10.0.0.0/24'])
  assert.deepEqual(textsOf([['10.0.0.0/30', '10.0.0.1/32']]), ['10.0.0.0/32', '10.0.0.2/31'])
  // what one excepts another may have
  assert.deepEqual(textsOf([['10.0.0.0/30', '10.0.0.0/31'], ['10.0.0.1/32']]), ['10.0.0.1/32', '10.0.0.2/31'])
  assert.deepEqual(textsOf([['10.0.0.0/30', '10.0.0.0/16']]), [])
  assert.deepEqual(textsOf([['::/0'], ['0.0.0.0/0']]), ['0.0.0.0/0', '::/0'])
  assert.deepEqual(textsOf([['255.255.255.254/31', '255.255.255.255/32']]), ['255.255.255.254/32'])
  assert.equal(textsOf([['::/0', '8000::/128']]).length, 128)
})

const anyPrefix = fc
  .record({ isV6: fc.boolean(), last: fc.nat(31), length: fc.integer({ min: 27, max: 32 }) })
  .map(({ isV6, last, length }) =>
    isV6
      ? new Prefix(Addr.parse('fd10::').plus(last), 96 + length)
      : new Prefix(Addr.parse('10.0.0.0').plus(last), length),
  )

const every = Array.from({ length: 32 }, (_, last) => [
  Addr.parse('10.0.0.0').plus(last),
  Addr.parse('fd10::').plus(last),
]).flat()

test('an address is in the prefixes when a block has it and does not except it; the order of blocks is nothing', () => {
  const anyBlock = fc.record({ cidr: anyPrefix, except: fc.array(anyPrefix, { maxLength: 4 }) })
  fc.assert(
    fc.property(fc.array(anyBlock, { maxLength: 5 }), (blocks) => {
      const prefixes = prefixesOfBlocks(blocks)
      for (const addr of every) {
        const holders = prefixes.filter((prefix) => prefix.contains(addr))
        const isMeant = blocks.some(
          ({ cidr, except }) => cidr.contains(addr) && !except.some((each) => each.contains(addr)),
        )
        assert.equal(holders.length, isMeant ? 1 : 0, String(addr))
      }
      assert.deepEqual(prefixesOfBlocks(blocks.toReversed()).map(String), prefixes.map(String))
      const pairs = prefixes.filter((prefix, index) => {
        const next = prefixes[index + 1]
        return next?.length === prefix.length && next.parent.equals(prefix.parent)
      })
      assert.deepEqual(pairs.map(String), [], 'the lower halves of prefixes that are whole')
    }),
  )
})
