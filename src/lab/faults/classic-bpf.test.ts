import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import {
  bytecodeOf,
  droppingShare,
  droppingSources,
  droppingUdp,
  type Instruction,
  TC_ACT_SHOT,
} from './classic-bpf.ts'

/** Runs the numbers that tc gets, as Documentation/networking/filter.rst says; true when the packet is dropped. */
function isDropped(program: readonly Instruction[], packet: Uint8Array, random = 0): boolean {
  const [count, ...lines] = bytecodeOf(program).split(',')
  assert.equal(Number(count), lines.length)
  const code = lines.map((line) => line.split(' ').map(Number) as [number, number, number, number])
  const view = new DataView(packet.buffer)
  let [a, x] = [0, 0]
  for (let at = 0; ; at++) {
    const [op, yes, no, k] = code[at]!
    // a load from outside of the packet ends the program with 0, which lets the packet pass
    const load = (offset: number, bytes: 1 | 2 | 4): number | undefined => {
      if (offset + bytes > packet.length) return undefined
      return bytes === 1 ? view.getUint8(offset) : bytes === 2 ? view.getUint16(offset) : view.getUint32(offset)
    }
    const loaded =
      op === 0x20 && k >= 0xffff_f000
        ? random
        : op === 0x20
          ? load(k, 4)
          : op === 0x28
            ? load(k, 2)
            : op === 0x30
              ? load(k, 1)
              : op === 0x48
                ? load(x + k, 2)
                : a
    if (loaded === undefined) return false
    a = loaded
    if (op === 0xb1) x = 4 * (load(k, 1)! & 0xf)
    if (op === 0x54) a = (a & k) >>> 0
    if (op === 0x15) at += a === k ? yes : no
    if (op === 0x35) at += a >= k ? yes : no
    if (op === 0x06) return k === TC_ACT_SHOT
  }
}

function ipv4(protocol: number, port: number, { options = 0, src = '10.244.1.2' } = {}): Uint8Array {
  const packet = new Uint8Array(14 + 20 + options + 8)
  packet.set([0x08, 0x00], 12)
  packet[14] = 0x40 | (5 + options / 4)
  packet[23] = protocol
  packet.set(Addr.parse(src).toBytes(), 26)
  new DataView(packet.buffer).setUint16(14 + 20 + options + 2, port)
  return packet
}

function ipv6(protocol: number, port: number, src = 'fd10:244:0:1::2'): Uint8Array {
  const packet = new Uint8Array(14 + 40 + 8)
  packet.set([0x86, 0xdd], 12)
  packet[14] = 0x60
  packet[20] = protocol
  packet.set(Addr.parse(src).toBytes(), 22)
  new DataView(packet.buffer).setUint16(14 + 40 + 2, port)
  return packet
}

test('a program that drops UDP to a port drops nothing else', () => {
  const program = droppingUdp(8472)
  for (const packet of [ipv4(17, 8472), ipv4(17, 8472, { options: 8 }), ipv6(17, 8472)])
    assert.equal(isDropped(program, packet), true)
  const arp = new Uint8Array(42)
  arp.set([0x08, 0x06], 12)
  for (const packet of [ipv4(17, 53), ipv4(6, 8472), ipv6(17, 53), ipv6(58, 8472), arp, new Uint8Array(14)])
    assert.equal(isDropped(program, packet), false)
})

test('a program that drops sources knows both families, and lengths that are no whole words', () => {
  const range = (family: 4 | 6, addr: string, length: number) => ({ family, bytes: Addr.parse(addr).toBytes(), length })
  const program = droppingSources([range(4, '10.244.1.0', 24), range(6, 'fd10:244:0:1::', 64)])
  for (const packet of [ipv4(1, 0), ipv6(58, 0)]) assert.equal(isDropped(program, packet), true)
  for (const packet of [
    ipv4(1, 0, { src: '10.244.2.2' }),
    ipv6(58, 0, 'fd10:244:0:2::2'),
    ipv6(58, 0, 'fd10:245:0:1::2'),
  ])
    assert.equal(isDropped(program, packet), false)
  assert.equal(isDropped(droppingSources([range(6, 'fd10:244::', 56)]), ipv6(58, 0)), true)
})

test('a program that loses a share drops by chance alone', () => {
  const program = droppingShare(0.2)
  assert.equal(isDropped(program, ipv4(1, 0), 0), true)
  assert.equal(isDropped(program, ipv4(1, 0), 0.19 * 2 ** 32), true)
  assert.equal(isDropped(program, ipv4(1, 0), 0.21 * 2 ** 32), false)
})
