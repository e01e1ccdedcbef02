// Messages as a kernel (6.18) sent them: a ping over the loopback device with mark 7, and one through a bridge.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { WireError } from '#/lib/bytes.ts'
import { decodeMessages } from '../netlink/message.ts'
import { decodeNflogPacket, encodeNflogBind, NFULNL_MSG_PACKET } from './messages.ts'

const loopback =
  'a400000000040000000000000000000002000005080001000800010009000a00706f647300000000080004000000000108000200000000071000080000060000000000000000000006000f000304000006001100000e0000120010000000000000000000000000000800000014000300000000006b0ceb1f00000000000a5e6a08000c00000000011c00090045000054a140400040019b667f0000017f000001080052a1'
const bridge =
  '8000000000040000000000000000000007000005080001000800030009000a00706f6473000000000800070000000004080005000000000208000b000000000008000e000000000008000c0000000005120015000200000000029ad260a5a372080000001c00090045000054ee714000400138230a0900010a0900020800bb9a'

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'))

function payloadOf(hex: string): Uint8Array {
  const [message] = decodeMessages(bytes(hex))
  assert.equal(message?.type, NFULNL_MSG_PACKET)
  return message.payload
}

describe('a logged packet', () => {
  test('tells its rule, hook, mark and device', () => {
    assert.deepEqual(decodeNflogPacket(payloadOf(loopback)), {
      group: 5,
      family: 2,
      prefix: 'pods',
      etherType: 0x0800,
      hook: 1,
      mark: 7,
      inDevice: 1,
      outDevice: undefined,
      physicalInDevice: undefined,
      physicalOutDevice: undefined,
      packet: bytes('45000054a140400040019b667f0000017f000001080052a1'),
      sequence: 1,
    })
  })

  test('of a bridge tells the port too', () => {
    assert.deepEqual(decodeNflogPacket(payloadOf(bridge)), {
      group: 5,
      family: 7,
      prefix: 'pods',
      etherType: 0x0800,
      hook: 3,
      mark: 0,
      inDevice: undefined,
      outDevice: 2,
      physicalInDevice: undefined,
      physicalOutDevice: 4,
      packet: bytes('45000054ee714000400138230a0900010a0900020800bb9a'),
      sequence: 5,
    })
  })

  test('is a value or a WireError, whatever the bytes are', () => {
    const damaged = fc
      .tuple(
        fc.constantFrom(loopback, bridge),
        fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }),
        fc.nat(),
      )
      .map(([hex, changes, cut]) => {
        const payload = payloadOf(hex).slice(0, cut % 3 === 0 ? cut % 150 : 150)
        for (const [at, value] of changes) if (payload.length > 0) payload[at % payload.length] = value
        return payload
      })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged), (payload) => {
        try {
          decodeNflogPacket(payload)
        } catch (error) {
          if (!(error instanceof WireError)) throw error
        }
      }),
      { numRuns: 2000 },
    )
  })
})

test('the request for a group is as the kernel takes it', () => {
  const request = encodeNflogBind({ group: 5, copyBytes: 128, gatherPackets: 1, gatherMs: 100 })
  assert.equal(
    Buffer.from(request).toString('hex'),
    // family, version, group; bind; mode; timeout; threshold; flags
    '00000005' +
      '0500010001000000' +
      '0a000200000000800200' +
      '0000' +
      '080004000000000a' +
      '0800050000000001' +
      '0600060000010000',
  )
})
