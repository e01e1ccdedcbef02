import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { arrivalOf } from './arrival.ts'

const port = 8080

function ipv4(protocol: number, payload: readonly number[]): Uint8Array {
  return Uint8Array.from([0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, ...payload])
}

function ipv6(protocol: number, payload: readonly number[]): Uint8Array {
  const addrs = [0xfd, ...Array.from({ length: 14 }, () => 0), 1, 0xfd, ...Array.from({ length: 14 }, () => 0), 2]
  return Uint8Array.from([0x60, 0, 0, 0, 0, 0, protocol, 64, ...addrs, ...payload])
}

function tcp(flags: number, to = port): number[] {
  return [0x9c, 0x40, to >> 8, to & 0xff, ...Array.from({ length: 8 }, () => 0), 0x50, flags, 0, 0, 0, 0, 0, 0]
}

function shown(bytes: Uint8Array): string {
  const arrival = arrivalOf(bytes, port)
  return arrival === undefined ? '-' : `${arrival.protocol} ${arrival.source}`
}

test('echo requests and SYNs to the port are probes, answers are none', () => {
  assert.equal(shown(ipv4(1, [8, 0])), 'icmp 10.0.0.1')
  assert.equal(shown(ipv6(58, [128, 0])), 'icmp fd00::1')
  assert.equal(shown(ipv4(6, tcp(0x02))), 'tcp 10.0.0.1')
  assert.equal(shown(ipv6(6, tcp(0xc2))), 'tcp fd00::1')
  const others = [ipv4(1, [0, 0]), ipv6(58, [129, 0]), ipv6(58, [135, 0]), ipv4(6, tcp(0x12)), ipv4(6, tcp(0x10))]
  for (const other of [...others, ipv4(6, tcp(0x02, 80)), ipv4(17, tcp(0x02)), ipv4(58, [128])])
    assert.equal(shown(other), '-')
})

test('no packet is too odd', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => void arrivalOf(bytes, port)))
  const whole = ipv4(6, tcp(0x02))
  for (let length = 0; length < 34; length++) assert.equal(shown(whole.subarray(0, length)), '-')
})
