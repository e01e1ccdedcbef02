import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { WireError } from '#/lib/bytes.ts'
import { decodeNeighTable } from './neigh-table.ts'

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'))

/** As Linux 6.18 dumps the table of IPv4, and then what it has of a device. */
const arpCache =
  '020000000e0001006172705f63616368650000000c00080030750000000000000800020080000000080003000002000008000400000400002400050004005001970000009cb400005c980300eb682435ff07000000000000000000005c000700df0803000000000048080300000000000800000000000000c10a0000000000001f091c0000000000500806000000000000000000000000000000000000000000640e0000000000007d080100000000007307010000000000'
const ofDevice =
  '020000000e0001006172705f6361636865000000b8000600080001000400000008000200010000000800100000400300080008006500000008000e0040000000080009000000000008000a000300000008000b000300000008001100000000000c0003007c9f0000000000000c00040030750000000000000c00060060ea0000000000000c00070088130000000000000c000500e8030000000000000c000c00e8030000000000000c000d0020030000000000000c000f00e8030000000000000c0013008813000000000000'

test('the kernel’s own dump of its table is read', () => {
  const table = { family: 4, name: 'arp_cache', entries: 151, most: 1024, refusals: 67_443n }
  assert.deepEqual(decodeNeighTable(bytes(arpCache)), table)
  assert.equal(decodeNeighTable(bytes(ofDevice)), undefined)
  const ofDecnet = bytes(arpCache)
  ofDecnet[0] = 12
  assert.equal(decodeNeighTable(ofDecnet), undefined)
})

test('a kernel that does not count refusals tells of none', () => {
  // struct ndt_stats without its last counter
  const old = bytes(arpCache.replace('5c000700', '54000700').slice(0, -16))
  assert.deepEqual(decodeNeighTable(old), { family: 4, name: 'arp_cache', entries: 151, most: 1024 })
})

test('bytes of any kind are read or refused with WireError', () => {
  const whole = bytes(arpCache)
  const cut = fc.nat(whole.length).map((length) => whole.subarray(0, length))
  fc.assert(
    fc.property(fc.oneof(cut, fc.uint8Array({ maxLength: 100 })), (some) => {
      try {
        decodeNeighTable(some)
      } catch (error) {
        assert.ok(error instanceof WireError)
      }
    }),
  )
})
