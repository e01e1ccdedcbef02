import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr } from '#/lib/addr.ts'
import { viewOf } from '#/lib/bytes.ts'
import { internetChecksum } from '#/lib/internet-checksum.ts'
import { readIpPacket } from '../ip/packet.ts'
import { encodeProbe, type ProbePacket, protocolNumber, sizesOf } from './packet.ts'

const addr4 = fc.bigInt({ min: 0n, max: (1n << 32n) - 1n }).map((value) => new Addr(4, value))
const addr6 = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }).map((value) => new Addr(6, value))
const number16 = fc.nat({ max: 0xffff })
const cookie = fc.uint8Array({ minLength: 8, maxLength: 8 })

const anyProbe: fc.Arbitrary<ProbePacket> = fc
  .record({
    ends: fc.oneof(fc.tuple(addr4, addr4), fc.tuple(addr6, addr6)),
    isWhole: fc.boolean(),
    more: fc.option(fc.nat({ max: 1500 }), { nil: undefined }),
    what: fc.oneof(
      fc.record({ protocol: fc.constant('icmp' as const), id: number16, seq: number16, cookie }),
      fc.record({ protocol: fc.constant('udp' as const), sourcePort: number16, port: number16, cookie }),
      fc.record({
        protocol: fc.constant('tcp' as const),
        sourcePort: number16,
        port: number16,
        seq: fc.nat({ max: 0xffff_ffff }),
      }),
    ),
  })
  .map(({ ends: [src, dst], isWhole, more, what }) => ({
    src,
    dst,
    isWhole,
    ...(more !== undefined && { sizeBytes: sizesOf(what.protocol, src.family).least + more }),
    ...what,
  }))

/** As a receiver checks it: the sum over pseudo header and payload, with the checksum in it, is 0. */
function sumOf({ src, dst, protocol }: ProbePacket, payload: Uint8Array): number {
  if (protocol === 'icmp' && src.family === 4) return internetChecksum(payload)
  const number = protocolNumber(protocol, src.family)
  const tail = new Uint8Array(8)
  viewOf(tail).setUint32(0, payload.length)
  viewOf(tail).setUint32(4, number)
  return internetChecksum(Uint8Array.from([...src.toBytes(), ...dst.toBytes(), ...tail, ...payload]))
}

test('a probe is a packet of its kind, of the size that was asked for, with right checksums', () => {
  fc.assert(
    fc.property(anyProbe, number16, (packet, packetId) => {
      const bytes = encodeProbe(packet, packetId)
      const { family } = packet.src
      if (packet.sizeBytes !== undefined) assert.equal(bytes.length, packet.sizeBytes)
      const read = readIpPacket(bytes)
      assert.ok(read)
      assert.ok(read.src.equals(packet.src) && read.dst.equals(packet.dst))
      assert.equal(read.protocol, protocolNumber(packet.protocol, family))
      if (packet.protocol !== 'icmp') assert.deepEqual([read.sourcePort, read.port], [packet.sourcePort, packet.port])
      const header = family === 4 ? 20 : 40
      assert.equal(sumOf(packet, bytes.subarray(header)), 0)
      assert.equal(family === 4 ? viewOf(bytes).getUint16(2) : viewOf(bytes).getUint16(4) + 40, bytes.length)
      if (family === 4) {
        assert.equal(internetChecksum(bytes.subarray(0, 20)), 0)
        assert.equal((bytes[6]! & 0x40) !== 0, packet.isWhole)
        assert.equal(viewOf(bytes).getUint16(4), packetId)
        assert.equal(bytes[1], 0, 'no class of traffic')
      }
      if (packet.protocol === 'tcp') {
        assert.equal(viewOf(bytes).getUint32(header + 4), packet.seq)
        assert.equal(read.tcp?.flags, 0x02)
      } else assert.deepEqual([...bytes.subarray(header + 8, header + 16)], [...packet.cookie])
    }),
  )
})

test('a datagram has the length of the header of a DNS message, unless another one was asked for', () => {
  const [src, dst] = [Addr.parse('10.0.0.1'), Addr.parse('10.0.0.2')]
  const datagram = { src, dst, isWhole: false, protocol: 'udp', sourcePort: 40_000, port: 53 } as const
  assert.equal(encodeProbe({ ...datagram, cookie: new Uint8Array(8) }, 1).length, 20 + 8 + 12)
})

test('a size that no such packet has is refused', () => {
  const [src, dst] = [Addr.parse('10.0.0.1'), Addr.parse('10.0.0.2')]
  const ping = { src, dst, isWhole: true, protocol: 'icmp' as const, id: 1, seq: 1, cookie: new Uint8Array(8) }
  assert.throws(() => encodeProbe({ ...ping, sizeBytes: 35 }, 1), RangeError)
  assert.throws(() => encodeProbe({ ...ping, sizeBytes: 65_536 }, 1), RangeError)
  assert.equal(encodeProbe({ ...ping, sizeBytes: 36 }, 1).length, 36)
  assert.equal(encodeProbe(ping, 1).length, 84)
})
