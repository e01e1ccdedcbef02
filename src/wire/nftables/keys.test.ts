import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Addr } from '#/lib/addr.ts'
import { checkKey, decodeKey, encodeKey, keyLayout, keyText, typeOfLookup } from './keys.ts'
import { type NftKey, type NftKeyType, RulesetError } from './ruleset.ts'

const addr4 = fc.integer({ min: 0, max: 0xffffffff }).map((value) => new Addr(4, BigInt(value)))
const addr6 = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }).map((value) => new Addr(6, value))
const parts: Record<NftKeyType, fc.Arbitrary<NftKey[number]>> = {
  ipv4_addr: addr4,
  ipv6_addr: addr6,
  inet_proto: fc.nat({ max: 0xff }),
  inet_service: fc.nat({ max: 0xffff }),
  ifname: fc.stringMatching(/^[a-z0-9.-]{1,15}$/),
}
const keys = fc
  .array(fc.constantFrom(...(Object.keys(parts) as NftKeyType[])), { minLength: 1, maxLength: 4 })
  .chain((types) => fc.tuple(fc.constant(types), fc.tuple(...types.map((type) => parts[type]))))

describe('a key', () => {
  test('is the same after it went through bytes', () => {
    fc.assert(
      fc.property(keys, ([types, key]) => {
        checkKey('set x', types, key)
        const bytes = encodeKey(types, key)
        assert.equal(bytes.length, keyLayout(types).keyLength)
        assert.equal(keyText(decodeKey(types, bytes)!), keyText(key))
        assert.equal(decodeKey(types, bytes.subarray(1)), undefined)
      }),
    )
  })

  test('has the bytes and the type that nft gives it', () => {
    // nft --debug=mnl: set p { type ipv6_addr . inet_proto . inet_service; elements = { fd00::1 . tcp . 80 } }
    const types = ['ipv6_addr', 'inet_proto', 'inet_service'] as const
    assert.deepEqual(keyLayout(types), { keyType: 0x830d, keyLength: 0x18 })
    assert.equal(
      Buffer.from(encodeKey(types, [Addr.parse('fd00::1'), 6, 80])).toString('hex'),
      'fd0000000000000000000000000000010600000000500000',
    )
    assert.deepEqual(keyLayout(['ifname', 'ipv4_addr']), { keyType: 0x0a47, keyLength: 0x14 })
    assert.deepEqual(keyLayout(['ifname']), { keyType: 0x29, keyLength: 16 })
  })

  test('of another type is refused', () => {
    const wrong: [readonly NftKeyType[], NftKey][] = [
      [['ipv4_addr'], [Addr.parse('::1')]],
      [['ipv4_addr', 'ipv4_addr'], [Addr.parse('10.0.0.1')]],
      [['inet_proto'], [256]],
      [['inet_service'], [-1]],
      [['inet_service'], [1.5]],
      [['ifname'], ['cwv*']],
      [['ifname'], ['x'.repeat(16)]],
      [['ifname'], [1]],
    ]
    for (const [types, key] of wrong)
      assert.throws(
        () => checkKey('set x', types, key),
        (error) => error instanceof RulesetError && error.message.startsWith(`set x of ${types.join(' . ')}`),
      )
  })

  test('has the type of the fields that it is looked up by', () => {
    assert.deepEqual(typeOfLookup({ fields: ['iifname', 'saddr', 'l4proto', 'dport'], family: 6 }), [
      'ifname',
      'ipv6_addr',
      'inet_proto',
      'inet_service',
    ])
  })
})
