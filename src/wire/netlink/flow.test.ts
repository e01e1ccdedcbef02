import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr } from '#/lib/addr.ts'
import { WireError } from '#/lib/bytes.ts'
import { addrKey, decodeFlow, encodeEstablished, encodeFlowDelete, flowEnds } from './flow.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** An entry as the kernel tells it: a connection from 10.244.1.2 to 10.96.0.10:80, which is translated to 10.244.1.4:8080. */
const translated = Buffer.from(
  '02000000' +
    // CTA_TUPLE_ORIG
    '34000180' +
    '14000180' +
    '080001000af40102' +
    '080002000a60000a' +
    '1c000280' +
    '0500010006000000' +
    '06000200c8220000' +
    '0600030000500000' +
    // CTA_TUPLE_REPLY
    '34000280' +
    '14000180' +
    '080001000af40104' +
    '080002000af40102' +
    '1c000280' +
    '0500010006000000' +
    '060002001f900000' +
    '06000300c8220000' +
    // CTA_STATUS, CTA_TIMEOUT
    '08000300000001ae' +
    '080007000000012c',
  'hex',
)

test('a flow is between who began it and who answers, and is deleted by the name that the kernel gave it', () => {
  const flow = decodeFlow(translated)
  assert.ok(flow)
  const { name, ...ends } = flow
  assert.deepEqual(ends, {
    protocol: 6,
    src: Addr.parse('10.244.1.2'),
    srcPort: 51_234,
    dst: Addr.parse('10.244.1.4'),
    dstPort: 8080,
    answered: { addr: Addr.parse('10.244.1.2'), port: 51_234 },
  })
  assert.equal(hex(encodeFlowDelete(flow)), hex(translated.subarray(0, 4 + 0x34)))
  assert.equal(hex(name), hex(translated.subarray(8, 4 + 0x34)))
  assert.deepEqual(flowEnds(translated), [addrKey(flow.src.toBytes()), addrKey(flow.dst.toBytes())])
})

test('a connection that is entered has both of its directions, in both families', () => {
  for (const [src, dst] of [
    ['10.244.1.2', '10.244.2.2'],
    ['fd10::2', 'fd10::3'],
  ]) {
    const flow = { src: Addr.parse(src!), dst: Addr.parse(dst!), srcPort: 1000, dstPort: 80 }
    const { name: _, ...decoded } = decodeFlow(encodeEstablished(flow))!
    assert.deepEqual(decoded, { protocol: 6, ...flow, answered: { addr: flow.src, port: 1000 } })
  }
})

test('an entry in a zone is none of ours, and any bytes are taken', () => {
  const zone = Buffer.from('0600120000070000', 'hex')
  assert.equal(decodeFlow(Buffer.concat([translated, zone])), undefined)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 160 }), (bytes) => {
      for (const read of [decodeFlow, flowEnds]) {
        try {
          read(bytes)
        } catch (error) {
          assert.ok(error instanceof WireError)
        }
      }
    }),
  )
})
