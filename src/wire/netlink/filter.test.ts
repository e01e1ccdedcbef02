import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeFilter, encodeBpfFilter, encodeFilterPlace, filterParents } from './filter.ts'

const place = { index: 7, parent: filterParents.egress, priority: 50, handle: 1 }

test('a filter is laid out as linux/pkt_cls.h and linux/rtnetlink.h say', () => {
  assert.equal(
    encodeBpfFilter(place, 5, 'x').toHex(),
    [
      '00000000 07000000 01000000 f3ffffff 00033200',
      '0800 0100 62706600',
      '1c00 0280',
      '0800 0600 05000000',
      '0600 0700 78000000',
      '0800 0800 01000000',
    ]
      .join('')
      .replaceAll(' ', ''),
  )
  assert.equal(encodeFilterPlace(place).length, 28)
  // for a list: no priority, and so no protocol either
  assert.equal(
    encodeFilterPlace({ ...place, priority: 0, handle: 0 }).toHex(),
    '000000000700000000000000f3ffffff00000000',
  )
})

test('a filter is told with its program, and one that is no program with its kind alone', () => {
  const bytes = encodeBpfFilter(place, 5, 'x')
  assert.deepEqual(decodeFilter(bytes), { ...place, kind: 'bpf', bpf: { name: 'x', isDirect: true } })
  const other = Uint8Array.from([...bytes.subarray(0, 20), 8, 0, 1, 0, 0x75, 0x33, 0x32, 0])
  assert.deepEqual(decodeFilter(other), { ...place, kind: 'u32' })
  assert.throws(() => decodeFilter(bytes.subarray(0, 12)), /filter message cut off/)
})
