import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr } from '#/lib/addr.ts'
import { packetWords } from './packet-words.ts'

const vxlanPort = 8472
const bytesOf = (text: string): number[] => [...Addr.parse(text).toBytes()]
const ethernet = (type: number): number[] => [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, type >> 8, type & 0xff]

function ipv4(protocol: number, payload: readonly number[], fragment = 0): Uint8Array {
  const header = [0x45, 0, 0, 20 + payload.length, 0, 0, fragment >> 8, fragment & 0xff, 63, protocol, 0, 0]
  return Uint8Array.of(...ethernet(0x0800), ...header, ...bytesOf('10.244.1.5'), ...bytesOf('10.244.2.6'), ...payload)
}

function ipv6(protocol: number, payload: readonly number[]): Uint8Array {
  const header = [0x60, 0, 0, 0, 0, payload.length, protocol, 64]
  return Uint8Array.of(...ethernet(0x86dd), ...header, ...bytesOf('fd00::5'), ...bytesOf('fd00::6'), ...payload)
}

const udp = (to: number): number[] => [0x9c, 0x40, to >> 8, to & 0xff, 0, 8, 0, 0]
const tcp = [0x9c, 0x40, 0, 80, 0, 0, 0, 7, 0, 0, 0, 9, 0x50, 0x12, 0, 0, 0, 0, 0, 0]

test('a packet is told with addresses, ports, flags and what is in the tunnel', () => {
  for (const [bytes, words] of [
    [ipv4(6, tcp), 'TCP 10.244.1.5:40000 > 10.244.2.6:80 [S.] seq 7 ack 9, hops 63'],
    [ipv4(17, udp(53)), 'UDP 10.244.1.5:40000 > 10.244.2.6:53, hops 63'],
    [ipv4(1, [8, 0]), 'ICMP 10.244.1.5 > 10.244.2.6 type 8, hops 63'],
    [ipv4(17, udp(53), 0x2000), 'UDP 10.244.1.5:40000 > 10.244.2.6:53, fragment, hops 63'],
    [ipv4(17, udp(53), 0x0010), 'UDP 10.244.1.5 > 10.244.2.6, fragment, hops 63'],
    [ipv4(47, []), 'protocol 47 10.244.1.5 > 10.244.2.6, hops 63'],
    [ipv6(6, tcp), 'TCP [fd00::5]:40000 > [fd00::6]:80 [S.] seq 7 ack 9, hops 64'],
    [ipv6(58, [135]), 'ICMPv6 fd00::5 > fd00::6 type 135, hops 64'],
    [
      ipv4(17, [...udp(vxlanPort), 8, 0, 0, 0, 0, 0, 1, 0, ...ipv6(17, udp(53))]),
      'tunnel 10.244.1.5 > 10.244.2.6: UDP [fd00::5]:40000 > [fd00::6]:53, hops 64',
    ],
    [Uint8Array.of(...ethernet(0x8100), 0, 1), 'ethertype 0x8100, 02:00:00:00:00:02 > 02:00:00:00:00:01'],
    [ipv4(6, tcp).subarray(0, 30), 'a frame of which only 30 bytes were kept'],
    [ipv4(6, tcp).subarray(0, 34), 'TCP 10.244.1.5 > 10.244.2.6, hops 63, the rest was not kept'],
  ] as const)
    assert.equal(packetWords(bytes, vxlanPort), words)
  const arp = [
    0,
    1,
    8,
    0,
    6,
    4,
    0,
    1,
    2,
    0,
    0,
    0,
    0,
    2,
    ...bytesOf('10.244.1.5'),
    0,
    0,
    0,
    0,
    0,
    0,
    ...bytesOf('10.244.1.1'),
  ]
  assert.equal(packetWords(Uint8Array.of(...ethernet(0x0806), ...arp), 1), 'ARP who has 10.244.1.1, tell 10.244.1.5')
})

test('any bytes have some words', () => {
  const types = fc.constantFrom(0x0800, 0x0806, 0x86dd, 0x1234)
  fc.assert(
    fc.property(types, fc.uint8Array({ maxLength: 160 }), fc.nat(200), (type, rest, length) => {
      assert.ok(packetWords(Uint8Array.of(...ethernet(type), ...rest).subarray(0, length), vxlanPort).length > 0)
    }),
    { numRuns: 2000 },
  )
})
