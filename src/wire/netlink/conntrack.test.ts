import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr } from '#/lib/addr.ts'
import { WireError } from '#/lib/bytes.ts'
import { decodeConnection, encodeConntrackDelete } from './conntrack.ts'

test('an entry is named by the packet that began it', () => {
  const connection = {
    protocol: 17,
    src: Addr.parse('192.0.2.1'),
    srcPort: 4000,
    dst: Addr.parse('192.0.2.2'),
    dstPort: 53,
    answeredBy: Addr.parse('10.244.1.3'),
    isTranslated: true,
  }
  const payload = encodeConntrackDelete(connection)
  // nfgenmsg, CTA_TUPLE_ORIG, CTA_TUPLE_IP with two addresses, CTA_TUPLE_PROTO with number and ports
  assert.equal(
    Buffer.from(payload).toString('hex'),
    '02000000' +
      '34000180' +
      '14000180' +
      '08000100c0000201' +
      '08000200c0000202' +
      '1c000280' +
      '0500010011000000' +
      '060002000fa00000' +
      '0600030000350000',
  )
  assert.equal(decodeConnection(payload), undefined, 'it does not tell who answers')
})

test('decodeConnection takes any bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
      try {
        decodeConnection(bytes)
      } catch (error) {
        assert.ok(error instanceof WireError)
      }
    }),
  )
})
