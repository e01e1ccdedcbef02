import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeFrame, type Layer } from './decode.ts'

function bytesOf(...hex: string[]): Uint8Array {
  return Uint8Array.fromHex(hex.join('').replaceAll(/\s/g, ''))
}

/** A layer in one line: what it is, where, and its fields. */
function told({ name, offset, lengthBytes, fields, isQuoted, isCut }: Layer): string {
  const words = fields.map(({ name: each, text }) => `${each} ${text}`).join(', ')
  return `${isQuoted ? '> ' : ''}${name} ${offset}+${lengthBytes}${isCut ? ' cut' : ''}${words && `: ${words}`}`
}

function names(layers: readonly Layer[]): string {
  return layers.map(({ name, isQuoted, isCut }) => `${isQuoted ? '>' : ''}${name}${isCut ? '!' : ''}`).join(' | ')
}

function field(layers: readonly Layer[], layer: string, name: string): string | undefined {
  return layers.find((each) => each.name === layer)?.fields.find((each) => each.name === name)?.text
}

const ethernet = (type: string): string => `020000000002 020000000001 ${type}`
const ipv4 = (protocol: string, length = '0024', fragment = '4000'): string =>
  `4500${length} 1234${fragment} 40${protocol}abcd 0a010105 0a010207`
const ipv6 = (next: string, length = '0010'): string =>
  `60012345 ${length}${next}40 fd010000000000000000000000000005 fd010000000000000000000000000007`
const udp = (port: string, length = '0010'): string => `9c41${port}${length}0000`
const echo = '0800f7ff 0007 0001'
const cookie = '1122334455667788'
const syn = 'c0001538 00000001 00000000 7002faf0 12340000 020405b4 01010402'
const vxlan = '08000000 00010200'

test('an echo request in Ethernet, field by field', () => {
  const layers = decodeFrame(bytesOf(ethernet('0800'), ipv4('01'), echo, cookie), 'link')
  assert.deepEqual(layers.map(told), [
    'ethernet 0+14: destination 02:00:00:00:00:02, source 02:00:00:00:00:01, type 0x0800 (IPv4)',
    'ipv4 14+20: version 4, header 20 bytes, DSCP 0, ECN not ECN-capable, length 36, id 0x1234, flags DF, TTL 64, protocol 1 (ICMP), ' +
      'checksum 0xabcd, source 10.1.1.5, destination 10.1.2.7',
    'icmp 34+8: type 8 (echo request), code 0, checksum 0xf7ff, id 7, sequence 1',
    'payload 42+8',
  ])
  assert.deepEqual(layers[1]!.fields[4], { name: 'length', value: 36, text: '36' })
})

test('the same in the tunnel, over either family, with padding that is of no layer', () => {
  const inner = [vxlan, ethernet('0800'), ipv4('01'), echo, cookie].join(' ')
  for (const outer of [
    [ethernet('0800'), ipv4('11', '0056')],
    [ethernet('86dd'), ipv6('11', '0042')],
  ]) {
    const layers = decodeFrame(bytesOf(...outer, udp('2118', '0042'), inner, '0000'), 'link')
    const family = outer[0] === ethernet('0800') ? 'ipv4' : 'ipv6'
    assert.equal(names(layers), `ethernet | ${family} | udp | vxlan | ethernet | ipv4 | icmp | payload`)
    assert.equal(field(layers, 'vxlan', 'VNI'), '258')
    assert.equal(layers.at(-1)!.lengthBytes, 8)
  }
  const other = decodeFrame(bytesOf(ipv4('11', '0056'), udp('12b5', '0042'), inner), 'network', { vxlanPort: 4789 })
  assert.equal(names(other), 'ipv4 | udp | vxlan | ethernet | ipv4 | icmp | payload')
})

test('VLAN tags, ARP, and what is not known', () => {
  const tagged = decodeFrame(bytesOf(ethernet('88a8'), '2064 8100', '0065 0800', ipv4('01'), echo), 'link')
  assert.equal(names(tagged), 'ethernet | vlan | vlan | ipv4 | icmp')
  assert.deepEqual(tagged.filter(({ name }) => name === 'vlan').map(told), [
    'vlan 14+4: priority 1, VLAN 100, type 0x8100 (VLAN)',
    'vlan 18+4: priority 0, VLAN 101, type 0x0800 (IPv4)',
  ])
  const request = '0001 0800 06 04 0001 020000000001 0a010105 000000000000 0a010107'
  const [, arp] = decodeFrame(bytesOf(ethernet('0806'), request), 'link')
  assert.equal(
    told(arp!),
    'arp 14+28: hardware 1 (Ethernet), protocol 0x0800 (IPv4), operation 1 (request), sender MAC 02:00:00:00:00:01, ' +
      'sender address 10.1.1.5, target MAC 00:00:00:00:00:00, target address 10.1.1.7',
  )
  assert.equal(names(decodeFrame(bytesOf(ethernet('88cc'), '0102'), 'link')), 'ethernet | payload')
  assert.equal(names(decodeFrame(bytesOf(ethernet('0026'), '4242'), 'link')), 'ethernet | payload')
  assert.equal(names(decodeFrame(bytesOf('00'), 'network')), 'payload')
  assert.deepEqual(decodeFrame(new Uint8Array(), 'link'), [])
})

test('TCP with its flags and options; SCTP', () => {
  const tcp = decodeFrame(bytesOf(ipv4('06', '0030'), syn), 'network')
  assert.equal(
    told(tcp[1]!),
    'tcp 20+28: source port 49152, destination port 5432, sequence 1, acknowledgement 0, header 28 bytes, flags SYN, window 64240, ' +
      'checksum 0x1234, options MSS 1460, SACK permitted',
  )
  const broken = decodeFrame(
    bytesOf(ipv4('06', '002c'), syn.slice(0, -18).replace('7002', '6002'), '02ff0000'),
    'network',
  )
  assert.equal(names(broken), 'ipv4 | tcp')
  assert.equal(names(decodeFrame(bytesOf(ipv6('84', '000c'), '0001 0002 deadbeef 00000000'), 'network')), 'ipv6 | sctp')
})

test('extension headers of IPv6, a later fragment has no transport header', () => {
  const extensions = ['2b00000000000000', '3c00000000000000', '2c00000000000000', '3a00 0001 00000042'].join('')
  const first = decodeFrame(bytesOf(ipv6('00', '0030'), extensions, '8000abcd 0007 0001', cookie), 'network')
  assert.equal(names(first), 'ipv6 | ipv6 options | ipv6 routing | ipv6 options | ipv6 fragment | icmpv6 | payload')
  assert.equal(field(first, 'ipv6 fragment', 'more fragments'), 'yes')
  const later = decodeFrame(bytesOf(ipv6('2c', '0010'), '1100 0028 00000042', cookie), 'network')
  assert.equal(names(later), 'ipv6 | ipv6 fragment | payload')
  assert.equal(names(decodeFrame(bytesOf(ipv4('11', '0024', '2003'), udp('0035')), 'network')), 'ipv4 | payload')
})

test('an ICMP error with the packet that it quotes, also when only its first 8 bytes are quoted', () => {
  const quoted = [ipv4('11', '0540'), udp('0035')].join(' ')
  const tooBig = decodeFrame(bytesOf(ipv4('01', '0038'), '0304 abcd 0000 0578', quoted), 'network')
  assert.equal(names(tooBig), 'ipv4 | icmp | >ipv4 | >udp')
  assert.equal(field(tooBig, 'icmp', 'MTU'), '1400')
  assert.equal(field(tooBig, 'icmp', 'code'), '4 (fragmentation needed)')
  const of6 = decodeFrame(
    bytesOf(ipv6('3a', '0040'), '0200 abcd 00000514', ipv6('3a', '0540'), '8000abcd 0007 0001'),
    'network',
  )
  assert.equal(names(of6), 'ipv6 | icmpv6 | >ipv6 | >icmpv6')
  assert.equal(field(of6, 'icmpv6', 'MTU'), '1300')
  const target = 'fe80000000000000 0000000000000001'
  const advertisement = decodeFrame(bytesOf(ipv6('3a', '0018'), '8800abcd e0000000', target), 'network')
  assert.equal(field(advertisement, 'icmpv6', 'flags'), 'router solicited override')
  assert.equal(field(advertisement, 'icmpv6', 'target'), 'fe80::1')
})

test('a header that is cut short is told as far as it goes', () => {
  const cut = decodeFrame(bytesOf(ipv4('06', '0030'), 'c0001538 0000'), 'network')
  assert.equal(names(cut), 'ipv4 | tcp!')
  assert.equal(told(cut[1]!), 'tcp 20+6 cut: source port 49152, destination port 5432')
})

const seeds = [
  bytesOf(
    ethernet('0800'),
    ipv4('11', '0056'),
    udp('2118', '0042'),
    vxlan,
    ethernet('86dd'),
    ipv6('3a'),
    '8000abcd 0007 0001',
    cookie,
  ),
  bytesOf(ethernet('86dd'), ipv6('00', '0038'), '2b00000000000000 3c00000000000000 3300000000000000', syn),
  bytesOf(ethernet('8100'), '2064 0800', ipv4('01', '0038'), '0304 abcd 0000 0578', ipv4('11', '0540'), udp('0035')),
]

/** Bytes that make sense up to some changes, and any bytes at all. */
const frames = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc
    .tuple(fc.constantFrom(...seeds), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }), fc.nat(200))
    .map(([seed, changes, length]) => {
      const bytes = seed.slice()
      for (const [at, value] of changes) bytes[at % bytes.length] = value
      return bytes.subarray(0, length)
    }),
)

test('whatever the bytes are: layers follow each other within them, and nothing around them is read', () => {
  fc.assert(
    fc.property(frames, fc.constantFrom('link', 'network'), fc.nat(255), (bytes, startsAt, around) => {
      const layers = decodeFrame(bytes, startsAt)
      let at = 0
      for (const { offset, lengthBytes } of layers) {
        assert.equal(offset, at)
        assert.ok(lengthBytes > 0)
        at += lengthBytes
      }
      assert.ok(at <= bytes.length)
      const framed = new Uint8Array(bytes.length + 64).fill(around)
      framed.set(bytes, 32)
      assert.deepEqual(decodeFrame(framed.subarray(32, 32 + bytes.length), startsAt), layers)
    }),
    { numRuns: 3000 },
  )
})
