import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr, AddrError, Prefix } from './addr.ts'

const anyAddr = fc.oneof(
  fc.bigInt({ min: 0n, max: (1n << 32n) - 1n }).map((value) => new Addr(4, value)),
  fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }).map((value) => new Addr(6, value)),
)

test('Addr writes the canonical text of RFC 5952', () => {
  for (const [text, canonical] of [
    ['10.244.1.5', '10.244.1.5'],
    ['FD10:0244:0000:0000:0000:0000:0000:0005', 'fd10:244::5'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::', '::'],
    ['1::', '1::'],
    ['::ffff:192.0.2.1', '::ffff:c000:201'],
  ]) {
    assert.equal(Addr.parse(text!).toString(), canonical)
  }
})

test('Addr refuses what is no address', () => {
  for (const text of [
    '',
    '1.2.3',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4.5',
    ':::',
    '1:2:3:4:5:6:7',
    '1::2::3',
    'fe80::1%eth0',
    '1:2:3:4:5:6:7:8:9',
    'g::',
  ])
    assert.throws(() => Addr.parse(text), AddrError, text)
})

test('Addr text and bytes round-trip', () => {
  fc.assert(
    fc.property(anyAddr, (addr) => {
      assert.ok(Addr.parse(addr.toString()).equals(addr))
      assert.ok(Addr.fromBytes(addr.toBytes()).equals(addr))
    }),
  )
})

test('Addr.tryParse agrees with node:net on any text', () => {
  const noise = fc.stringMatching(/^[0-9a-f.:]{0,20}$/)
  fc.assert(
    fc.property(fc.oneof(noise, fc.string(), anyAddr.map(String)), (text) => {
      assert.equal(Addr.tryParse(text)?.family ?? 0, isIP(text.split('%')[0]!) && !text.includes('%') ? isIP(text) : 0)
    }),
    { numRuns: 3000 },
  )
})

test('Prefix refuses host bits and names the network that was meant', () => {
  assert.throws(() => Prefix.parse('10.244.1.5/24'), /did you mean 10\.244\.1\.0\/24/)
})

test('Prefix contains exactly its addresses', () => {
  const prefix = Prefix.parse('10.244.1.0/24')
  assert.equal(prefix.size, 256n)
  assert.equal(prefix.last.toString(), '10.244.1.255')
  assert.ok(prefix.contains(Addr.parse('10.244.1.255')))
  assert.ok(!prefix.contains(Addr.parse('10.244.2.0')))
  assert.ok(!prefix.contains(Addr.parse('::1')))
  assert.ok(Prefix.parse('10.244.0.0/16').contains(prefix))
  assert.ok(!prefix.contains(Prefix.parse('10.244.0.0/16')))
  assert.throws(() => prefix.at(256), AddrError)
})
