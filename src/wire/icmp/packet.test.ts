import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { families } from '#/lib/addr.ts'
import { internetChecksum } from '#/lib/internet-checksum.ts'
import { encodeEchoRequest, icmpTypes, parseIcmp } from './packet.ts'

const cookie = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8])
const u16 = fc.nat(0xffff)

function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'))
}

const ipv4 = '45 00 0054 0000 4000 40 01 0000 0a070001 0a070002'
const ipv6 = '60 000000 0040 3a 40 fd070000000000000000000000000001 fd070000000000000000000000000002'

test('an echo request is that of RFC 792, 64 bytes with a right checksum', () => {
  const request = encodeEchoRequest(4, { id: 0x1234, seq: 7, cookie })
  assert.equal(request.length, 64)
  assert.equal(Buffer.from(request.subarray(4, 16)).toString('hex'), '123400070102030405060708')
  assert.equal(internetChecksum(request), 0)
})

test('a reply has the numbers and the cookie of its request', () => {
  fc.assert(
    fc.property(fc.constantFrom(...families), u16, u16, (family, id, seq) => {
      const message = encodeEchoRequest(family, { id, seq, cookie })
      message[0] = family === 4 ? 0 : 129
      const received = family === 4 ? new Uint8Array([...hex(ipv4), ...message]) : message
      assert.deepEqual(parseIcmp(family, received), { kind: 'reply', id, seq, cookie })
    }),
  )
})

test('IP options before a reply are skipped', () => {
  const received = hex(`46 ${ipv4.slice(3)} 01010101 0000 0000 1234 0007 0102030405060708`)
  assert.deepEqual(parseIcmp(4, received), { kind: 'reply', id: 0x1234, seq: 7, cookie })
})

test('the requests of others are known as such, and the size of a request is that of its IP packet', () => {
  for (const family of families) {
    const message = encodeEchoRequest(family, { id: 7, seq: 8, cookie, sizeBytes: 1400 })
    const received = family === 4 ? new Uint8Array([...hex(ipv4), ...message]) : message
    assert.equal(message.length, family === 4 ? 1380 : 1360)
    assert.deepEqual(parseIcmp(family, received), { kind: 'request', id: 7, seq: 8, cookie })
  }
})

test('an error about a packet too large has the size that the next link takes', () => {
  const quoted4 = `${ipv4} 08 00 0000 1234 0007`
  const error4 = parseIcmp(4, hex(`${ipv4} 03 04 0000 0000 0578 ${quoted4}`))
  assert.deepEqual(error4, { kind: 'error', words: 'fragmentation needed', mtuBytes: 1400, id: 0x1234, seq: 7 })
  const old = parseIcmp(4, hex(`${ipv4} 03 04 0000 0000 0000 ${quoted4}`))
  assert.deepEqual(old, { kind: 'error', words: 'fragmentation needed', id: 0x1234, seq: 7 })
  const error6 = parseIcmp(6, hex(`02 00 0000 00000514 ${ipv6} 80 00 0000 1234 0007`))
  assert.deepEqual(error6, { kind: 'error', words: 'packet too big', mtuBytes: 1300, id: 0x1234, seq: 7 })
})

test('an error has the numbers of the request that it quotes, and words', () => {
  // RFC 792 promises no more of the request than its first eight bytes
  const quoted4 = `${ipv4} 08 00 0000 1234 0007`
  assert.deepEqual(parseIcmp(4, hex(`${ipv4} 03 01 0000 00000000 ${quoted4}`)), {
    kind: 'error',
    words: 'host unreachable',
    id: 0x1234,
    seq: 7,
  })
  const quoted6 = `${ipv6} 80 00 0000 1234 0007`
  assert.deepEqual(parseIcmp(6, hex(`01 03 0000 00000000 ${quoted6}`)), {
    kind: 'error',
    words: 'address unreachable',
    id: 0x1234,
    seq: 7,
  })
  const unknownCode = parseIcmp(6, hex(`03 63 0000 00000000 ${quoted6}`))
  assert.equal(unknownCode?.kind === 'error' && unknownCode.words, 'time exceeded')
})

test('what is not about our echo requests is nothing', () => {
  const udp4 = ipv4.replace('40 01', '40 11')
  const fragment = ipv4.replace('0000 4000', '0000 0001')
  for (const text of [
    '',
    ipv4,
    `${ipv4} 08 00 0000 1234`,
    `${udp4} 00 00 0000 1234 0007`,
    `${fragment} 00 00 0000 1234 0007`,
    `${ipv4} 03 03 0000 00000000 ${udp4} 1f90 1f90 0008 0000`,
    `${ipv4} 03 03 0000 00000000 ${ipv4} 08 00 0000`,
    `${ipv6} 81 00 0000 1234 0007`,
  ])
    assert.equal(parseIcmp(4, hex(text)), undefined, text)
  for (const text of ['', '80 00 0000 1234', '81 00 0000 1234', `01 00 0000 00000000 ${ipv4} 08 00 0000 1234 0007`])
    assert.equal(parseIcmp(6, hex(text)), undefined, text)
})

test('parseIcmp takes any bytes', () => {
  const packet = fc.tuple(fc.constantFrom(ipv4, ipv6, ''), fc.uint8Array({ maxLength: 120 })).map(([head, tail]) => {
    return new Uint8Array([...hex(head), ...tail])
  })
  fc.assert(
    fc.property(fc.constantFrom(...families), packet, (family, bytes) => {
      const parsed = parseIcmp(family, bytes)
      if (parsed !== undefined) assert.ok(parsed.id <= 0xffff && parsed.seq <= 0xffff)
    }),
    { numRuns: 3000 },
  )
})

test('the socket asks for replies and errors', () => {
  assert.deepEqual(icmpTypes(4), [0, 3, 11])
  assert.deepEqual(icmpTypes(6), [129, 1, 2, 3])
})
