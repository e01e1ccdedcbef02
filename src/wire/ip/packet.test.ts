import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type IpPacket, readIpPacket, tcpFlags } from './packet.ts'

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.fromHex(hex.replaceAll(/\s/g, ''))
}

/** As text, with T for a TCP header and its flags. */
function told(packet: IpPacket | undefined): string {
  if (packet === undefined) return 'none'
  const { src, dst, protocol, sourcePort, port, tcp } = packet
  const flags = tcp && Object.entries(tcpFlags).flatMap(([name, bit]) => ((tcp.flags & bit) === 0 ? [] : [name]))
  return `${src} ${dst} ${protocol} ${sourcePort ?? '-'} ${port ?? '-'}${flags ? ` T ${flags.join(' ')}` : ''}`
}

const ipv4 = (protocol: string, fragment = '4000'): string =>
  `4500003c 1234${fragment} 40${protocol}0000 0af40105 0af40207`
const ipv6 = (next: string): string =>
  `60000000 0028${next}40 fd000000000000000000000000000005 fd000000000000000000000000000007`
const tcpSyn = 'c0001538 00000001 00000000 a002faf0 00000000'

test('addresses, protocol, ports and TCP flags of both families', () => {
  assert.equal(told(readIpPacket(bytesOf(ipv4('06') + tcpSyn))), '10.244.1.5 10.244.2.7 6 49152 5432 T SYN')
  assert.equal(told(readIpPacket(bytesOf(ipv6('06') + tcpSyn))), 'fd00::5 fd00::7 6 49152 5432 T SYN')
  assert.equal(told(readIpPacket(bytesOf(`${ipv4('11')}c0000035 00080000`))), '10.244.1.5 10.244.2.7 17 49152 53')
  assert.equal(told(readIpPacket(bytesOf(`${ipv4('01')}08000000`))), '10.244.1.5 10.244.2.7 1 - -')
})

test('options and extension headers are passed over', () => {
  const options = `4600003c 12344000 40060000 0af40105 0af40207 01010101`
  assert.equal(told(readIpPacket(bytesOf(options + tcpSyn))), '10.244.1.5 10.244.2.7 6 49152 5432 T SYN')
  const hopByHopThenOptions = `${ipv6('00')}3c00000000000000 0600000000000000`
  assert.equal(told(readIpPacket(bytesOf(hopByHopThenOptions + tcpSyn))), 'fd00::5 fd00::7 6 49152 5432 T SYN')
  const authentication = `${ipv6('33')}06040000 00000001 00000001 000000000000000000000000`
  assert.equal(told(readIpPacket(bytesOf(authentication + tcpSyn))), 'fd00::5 fd00::7 6 49152 5432 T SYN')
})

test('a later fragment has no ports, the first has', () => {
  assert.equal(told(readIpPacket(bytesOf(ipv4('11', '00b9') + tcpSyn))), '10.244.1.5 10.244.2.7 17 - -')
  assert.equal(
    told(readIpPacket(bytesOf(`${ipv6('2c')}1100000800000001${tcpSyn}`))),
    'fd00::5 fd00::7 17 - -',
    'offset 8',
  )
  assert.equal(told(readIpPacket(bytesOf(`${ipv6('2c')}1100000100000001${tcpSyn}`))), 'fd00::5 fd00::7 17 49152 5432')
})

test('what is cut short says less', () => {
  const whole = bytesOf(ipv4('06') + tcpSyn)
  assert.equal(told(readIpPacket(whole.subarray(0, 19))), 'none')
  assert.equal(told(readIpPacket(whole.subarray(0, 23))), '10.244.1.5 10.244.2.7 6 - -')
  assert.equal(told(readIpPacket(whole.subarray(0, 30))), '10.244.1.5 10.244.2.7 6 49152 5432')
  assert.equal(told(readIpPacket(bytesOf(`${ipv6('00')}06`))), 'fd00::5 fd00::7 0 - -')
})

test('any bytes are read or refused, and nothing throws', () => {
  const versioned = fc.tuple(fc.constantFrom(0x45, 0x4f, 0x60, 0x00), fc.uint8Array({ maxLength: 120 }))
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 120 }), versioned), (given) => {
      const bytes = given instanceof Uint8Array ? given : new Uint8Array([given[0], ...given[1]])
      const packet = readIpPacket(bytes)
      if (packet !== undefined) assert.equal(packet.src.family, packet.dst.family)
    }),
    { numRuns: 2000 },
  )
})
