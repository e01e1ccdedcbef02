import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { announcementOf } from './announcement.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

test('an IPv4 address is announced as RFC 5227 says: a request for itself, from itself', () => {
  const frame = hex(announcementOf(Addr.parse('10.244.1.3'), '02:00:00:00:00:0c'))
  // as `arping -U -c 1` sends it, but for the target's MAC, which RFC 5227 section 3 leaves open
  const sender = '02000000000c'
  assert.equal(
    frame,
    `ffffffffffff${sender}0806 0001 0800 06 04 0001 ${sender} 0af40103 000000000000 0af40103`.replaceAll(' ', ''),
  )
})

test('an IPv6 address is announced as RFC 4861 says: to all nodes, unsolicited, to override', () => {
  const frame = hex(announcementOf(Addr.parse('fd10:244:0:1::3'), '02:00:00:00:00:0c'))
  const addr = 'fd100244000000010000000000000003'
  const expected = `333300000001 02000000000c 86dd 60000000 0020 3a ff ${addr} ff020000000000000000000000000001
    8800 CHECK 20000000 ${addr} 0201 02000000000c`
  const pattern = expected.replaceAll(/\s/g, '').replace('CHECK', '([0-9a-f]{4})')
  const [, checksum] = new RegExp(`^${pattern}$`).exec(frame) ?? assert.fail(frame)
  // the sum of all words of pseudo-header and message, by hand: the kernel drops a frame whose checksum is wrong (test/netns/address-reuse)
  const words = `${addr}ff020000000000000000000000000001 00000020 0000003a 8800 0000 20000000 ${addr} 0201 02000000000c`
  const sum = [...words.replaceAll(' ', '').matchAll(/..../g)].reduce(
    (total, [word]) => total + Number.parseInt(word, 16),
    0,
  )
  assert.equal(Number.parseInt(checksum!, 16), ~((sum & 0xffff) + (sum >>> 16)) & 0xffff)
})
