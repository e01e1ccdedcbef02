import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { WireError } from '#/lib/bytes.ts'
import { decodeQdisc, decodeTbf, encodeQdisc, encodeTbf, TC_H_ROOT } from './qdisc.ts'

/** As the kernel dumps what `tc qdisc add dev v root handle 1: tbf rate 10mbit burst 32kb latency 25ms` sets. */
const dumped = Uint8Array.from(
  Buffer.from('280001000001000000000000d012130000000000000000000000000012fa00000040060000000000', 'hex'),
)

test('the kernel’s own dump of a bucket of 10 Mbit/s and 32 KiB is read', () => {
  assert.deepEqual(decodeTbf(dumped), { rateBytesPerSecond: 1_250_000, burstBytes: 32_768, limitBytes: 64_018 })
})

test('any bucket comes back, the burst within the rounding of a tick', () => {
  const tbf = fc.record({
    rateBytesPerSecond: fc.integer({ min: 1000, max: 20_000_000_000 }),
    burstBytes: fc.integer({ min: 1500, max: 100_000_000 }),
    limitBytes: fc.integer({ min: 1500, max: 0xffff_ffff }),
  })
  fc.assert(
    fc.property(tbf, (wanted) => {
      const read = decodeTbf(encodeTbf(wanted))
      assert.equal(read.rateBytesPerSecond, wanted.rateBytesPerSecond)
      assert.equal(read.limitBytes, wanted.limitBytes)
      const longestNs = 0xffff_ffff * 64
      if ((wanted.burstBytes / wanted.rateBytesPerSecond) * 1e9 > longestNs) return
      assert.ok(Math.abs(read.burstBytes - wanted.burstBytes) <= (wanted.rateBytesPerSecond * 64) / 1e9 + 1)
    }),
  )
})

test('any message comes back', () => {
  const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
  const message = fc.record(
    {
      index: fc.integer({ min: 0, max: 0x7fff_ffff }),
      handle: u32,
      parent: fc.oneof(fc.constant(TC_H_ROOT), u32),
      kind: fc.stringMatching(/^[a-z_]{1,15}$/),
      options: fc.uint8Array({ maxLength: 64 }),
    },
    { noNullPrototype: true },
  )
  fc.assert(fc.property(message, (wanted) => assert.deepEqual(decodeQdisc(encodeQdisc(wanted)), wanted)))
})

test('bytes of any kind are read or refused with WireError', () => {
  for (const decode of [decodeQdisc, decodeTbf]) {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        try {
          decode(bytes)
        } catch (error) {
          assert.ok(error instanceof WireError)
        }
      }),
    )
  }
})
