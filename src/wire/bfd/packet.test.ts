import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type BfdPacket, type BfdState, decodeBfdPacket, diagnosticText, encodeBfdPacket } from './packet.ts'

const u32 = fc.nat({ max: 0xffff_ffff })

const anyPacket: fc.Arbitrary<BfdPacket> = fc
  .record(
    {
      state: fc.constantFrom<BfdState>('AdminDown', 'Down', 'Init', 'Up'),
      diagnostic: fc.nat({ max: 31 }),
      isPoll: fc.boolean(),
      isFinal: fc.boolean(),
      isControlPlaneIndependent: fc.boolean(),
      isDemand: fc.boolean(),
      detectMultiplier: fc.integer({ min: 1, max: 255 }),
      myDiscriminator: fc.integer({ min: 1, max: 0xffff_ffff }),
      yourDiscriminator: u32,
      desiredMinTxUs: u32,
      requiredMinRxUs: u32,
      requiredMinEchoRxUs: u32,
    },
    { noNullPrototype: true },
  )
  .filter(({ yourDiscriminator, state }) => yourDiscriminator !== 0 || state === 'Down' || state === 'AdminDown')

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
}

const up = '20 c8 03 18 00000001 89abcdef 000186a0 000493e0 00000000'

test('a packet is what RFC 5880 section 4.1 draws', () => {
  const packet: BfdPacket = {
    state: 'Up',
    diagnostic: 0,
    isPoll: false,
    isFinal: false,
    isControlPlaneIndependent: true,
    isDemand: false,
    detectMultiplier: 3,
    myDiscriminator: 1,
    yourDiscriminator: 0x89ab_cdef,
    desiredMinTxUs: 100_000,
    requiredMinRxUs: 300_000,
    requiredMinEchoRxUs: 0,
  }
  assert.deepEqual(decodeBfdPacket(bytesOf(up)), packet)
  assert.deepEqual(encodeBfdPacket(packet), bytesOf(up))
  const polling = { ...packet, state: 'Down', diagnostic: 1, isControlPlaneIndependent: false, isPoll: true } as const
  assert.deepEqual(encodeBfdPacket(polling), bytesOf(up.replace('20 c8', '21 60')))
})

test('what is to be discarded without looking for a session is (section 6.8.6)', () => {
  for (const [what, hex, why] of [
    ['nothing', '', /0 octets are too few/],
    ['too short', up.slice(0, -2), /23 octets are too few/],
    ['version 0', up.replace('20', '00'), /version 0/],
    ['version 2', up.replace('20', '40'), /version 2/],
    ['a length that is too short', up.replace('18 ', '17 '), /length 23 in 24 octets/],
    ['a length beyond the payload', up.replace('18 ', '19 '), /length 25 in 24 octets/],
    ['authentication', up.replace('c8 03 18', 'cc 03 1c') + '01040141', /authentication/],
    ['multiplier 0', up.replace('c8 03', 'c8 00'), /multiplier 0/],
    ['multipoint', up.replace('c8', 'c9'), /multipoint/],
    ['my discriminator 0', up.replace('00000001', '00000000'), /my discriminator 0/],
    ['your discriminator 0 in Up', up.replace('89abcdef', '00000000'), /your discriminator 0 in state Up/],
    ['your discriminator 0 in Init', up.replace('89abcdef', '00000000').replace('c8', '88'), /in state Init/],
  ] as const) {
    const decoded = decodeBfdPacket(bytesOf(hex))
    assert.ok(typeof decoded === 'string', what)
    assert.match(decoded, why, what)
  }
})

test('bytes behind the packet are no fault', () => {
  assert.deepEqual(decodeBfdPacket(bytesOf(`${up} ffff`)), decodeBfdPacket(bytesOf(up)))
})

test('diagnostics have the words of the RFC', () => {
  assert.equal(diagnosticText(1), 'control detection time expired')
  assert.equal(diagnosticText(31), 'diagnostic 31')
})

test('packets round-trip', () => {
  fc.assert(fc.property(anyPacket, (packet) => assert.deepEqual(decodeBfdPacket(encodeBfdPacket(packet)), packet)))
})

test('any bytes are a packet that can be sent again, or a reason', () => {
  const nearlyPacket = fc
    .tuple(anyPacket, fc.array(fc.tuple(fc.nat({ max: 23 }), fc.nat({ max: 255 })), { maxLength: 3 }))
    .map(([packet, changes]) => {
      const bytes = encodeBfdPacket(packet)
      for (const [at, value] of changes) bytes[at] = value
      return bytes
    })
  const anyBytes = fc.oneof(fc.uint8Array({ maxLength: 64 }), nearlyPacket)
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      const decoded = decodeBfdPacket(bytes)
      if (typeof decoded === 'string') assert.notEqual(decoded, '')
      else assert.deepEqual(decodeBfdPacket(encodeBfdPacket(decoded)), decoded)
    }),
    { numRuns: 2000 },
  )
})
