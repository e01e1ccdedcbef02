import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { podCIDRs } from './parsers.ts'
import { SettingError } from './setting.ts'

test('any text is a list of CIDRs that do not overlap, or a SettingError', () => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f.:/,]{0,40}$/))
  fc.assert(
    fc.property(text, (list) => {
      try {
        const prefixes = podCIDRs(list, 'list')
        assert.ok(prefixes.every((prefix, index) => !prefixes.slice(0, index).some((other) => other.overlaps(prefix))))
      } catch (error) {
        assert.ok(error instanceof SettingError)
      }
    }),
  )
})

test('CIDRs of addresses that are never routed are refused, in both families', () => {
  assert.throws(() => podCIDRs('10.0.0.0/8,127.1.0.0/16', 'list'), {
    message: 'list: 127.1.0.0/16 is in 127.0.0.0/8, loopback addresses: no pod can have one',
  })
  for (const cidr of [
    '0.0.0.0/9',
    '169.254.0.0/16',
    '224.0.0.0/4',
    '255.255.255.255/32',
    '::1/128',
    'fe80::/64',
    'ff02::/16',
  ])
    assert.throws(() => podCIDRs(cidr, 'list'), SettingError, cidr)
  // wide ranges hold other addresses as well
  assert.deepEqual(podCIDRs('0.0.0.0/0,::/0', 'list').map(String), ['0.0.0.0/0', '::/0'])
})
