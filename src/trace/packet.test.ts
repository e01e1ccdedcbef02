import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr } from '#/lib/addr.ts'
import { viewOf } from '#/lib/bytes.ts'
import { encodeProbe, type ProbePacket } from '#/wire/probe/packet.ts'
import { captureFile, dumpLines, withoutPayload } from './bytes.ts'
import { isOfEcho, lastDestination } from './destination.ts'
import { headersText, packetText } from './headers.ts'
import { answerKind, readPacket, type ReadPacket } from './packet.ts'
import { sightingAt } from './testing/scene.ts'
import { trackedPackets } from './tracked.ts'

const cookie = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8])
const inner: ProbePacket = {
  src: Addr.parse('10.244.1.2'),
  dst: Addr.parse('10.244.2.2'),
  isWhole: false,
  protocol: 'udp',
  sourcePort: 40_000,
  port: 53,
  cookie,
}

function frameOf(ip: Uint8Array): Uint8Array {
  const frame = new Uint8Array(14 + ip.length)
  viewOf(frame).setUint16(12, ip[0]! >> 4 === 6 ? 0x86dd : 0x0800)
  frame.set(ip, 14)
  return frame
}

/** As the kernel writes it: an outer packet of either family around a frame. */
function tunnelled(frame: Uint8Array, src: string, dst: string, vni: number): Uint8Array {
  const sizeBytes = (src.includes(':') ? 40 : 20) + 8 + 8 + frame.length
  const ends = { src: Addr.parse(src), dst: Addr.parse(dst), sizeBytes, isWhole: false }
  const outer = encodeProbe({ ...ends, protocol: 'udp', sourcePort: 50_000, port: 8472, cookie }, 1)
  const payload = outer.subarray(outer.length - frame.length - 8)
  payload.fill(0, 0, 8)
  payload[0] = 0x08
  viewOf(payload).setUint32(4, vni << 8)
  payload.set(frame, 8)
  return outer
}

test('a packet is read through the tunnel that it travels in', () => {
  const plain = readPacket(frameOf(encodeProbe(inner, 1)), 'link')!
  assert.deepEqual(plain.tunnels, [])
  assert.equal(packetText(plain.packet), 'UDP 10.244.1.2:40000 → 10.244.2.2:53')
  for (const [src, dst] of [
    ['172.30.1.1', '172.30.1.2'],
    ['fd30::1', 'fd30::2'],
  ] as const) {
    const inTunnel: ReadPacket = readPacket(frameOf(tunnelled(frameOf(encodeProbe(inner, 1)), src, dst, 7)), 'link')!
    assert.equal(packetText(inTunnel.packet), packetText(plain.packet))
    assert.equal(headersText(inTunnel, plain), `in VXLAN 7: ${src} → ${dst} UDP 8472`)
    assert.equal(headersText(plain, inTunnel), 'out of the tunnel')
    assert.equal(headersText(inTunnel, inTunnel), '')
  }
})

test('what was translated is told, and nothing that stayed', () => {
  const before = readPacket(encodeProbe(inner, 1), 'network')!
  const behind = readPacket(encodeProbe({ ...inner, dst: Addr.parse('10.244.3.3'), port: 5353 }, 1), 'network')!
  assert.equal(headersText(behind, before), 'destination 10.244.2.2:53 → 10.244.3.3:5353')
  const sightings = [before, behind].map((_, index) =>
    sightingAt({ node: 'node-1', place: 'receive', device: 'eth0' }, index, 'there', {
      bytes: encodeProbe(index === 0 ? inner : { ...inner, dst: Addr.parse('10.244.3.3') }, 1).toHex(),
    }),
  )
  assert.equal(String(lastDestination(sightings)), '10.244.3.3')
  assert.equal(trackedPackets(sightings).length, 2)
})

test('echoes that are sent one after another are told apart', () => {
  const echo = { src: inner.src, dst: inner.dst, isWhole: false, protocol: 'icmp', id: 7, seq: 2, cookie } as const
  const sighting = sightingAt({ node: 'node-1', place: 'receive', device: 'eth0' }, 0, 'there', {
    bytes: encodeProbe(echo, 1).toHex(),
  })
  assert.ok(isOfEcho(sighting, 2))
  assert.ok(!isOfEcho(sighting, 1))
})

test('bytes that are cut off anywhere, or are anything, are read as far as they go', () => {
  const whole = frameOf(tunnelled(frameOf(encodeProbe(inner, 1)), '172.30.1.1', '172.30.1.2', 7))
  const anyBytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.nat({ max: whole.length }).map((length) => whole.slice(0, length)),
    fc.tuple(fc.nat({ max: whole.length - 1 }), fc.nat({ max: 255 })).map(([at, byte]) => {
      const bytes = whole.slice()
      bytes[at] = byte
      return bytes
    }),
  )
  fc.assert(
    fc.property(anyBytes, fc.constantFrom('link' as const, 'network' as const), (bytes, startsAt) => {
      const read = readPacket(bytes, startsAt)
      if (read) {
        assert.notEqual(packetText(read.packet), '')
        answerKind(read.packet)
      }
      const sighting = sightingAt({ node: 'node-1', place: 'receive', device: 'eth0' }, 0, 'there', {
        bytes: bytes.toHex(),
        startsAt,
      })
      dumpLines(sighting)
      trackedPackets([sighting])
      captureFile([sighting])
    }),
  )
})

test('of what packets carry no more is told than what a probe is recognised by', () => {
  const ip = encodeProbe({ ...inner, sizeBytes: 100 }, 1)
  ip.fill(0x5e, 36)
  for (const [bytes, startsAt] of [
    [ip, 'network'],
    [frameOf(ip), 'link'],
    [frameOf(tunnelled(frameOf(ip), '172.30.1.1', '172.30.1.2', 7)), 'link'],
  ] as const) {
    const told = withoutPayload(bytes, startsAt)
    assert.deepEqual(told, bytes.subarray(0, bytes.length - 64))
    assert.deepEqual(readPacket(told, startsAt), readPacket(bytes, startsAt))
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.constantFrom('link', 'network'), (bytes, startsAt) => {
      const told = withoutPayload(bytes, startsAt)
      assert.deepEqual(told, bytes.subarray(0, told.length))
    }),
  )
})
