import assert from 'node:assert/strict'
import { test } from 'node:test'
import { podLimits } from './bandwidth.ts'

test('bits become bytes, and a queue holds 25 ms besides the burst', () => {
  assert.deepEqual(podLimits({ ingressRate: 80_000_000, ingressBurst: 800_000 }), {
    ingress: { rateBytesPerSecond: 10_000_000, burstBytes: 100_000, limitBytes: 350_000 },
  })
})

test('without a rate there is no limit, whatever the burst', () => {
  assert.deepEqual(podLimits({}), {})
  assert.deepEqual(podLimits({ ingressRate: 0, ingressBurst: 5, egressBurst: 7 }), {})
})

test('a missing burst is a tenth of a second, the largest value counts as a second, and two packets always fit', () => {
  const burst = (egressRate: number, egressBurst?: number) =>
    podLimits({ egressRate, ...(egressBurst !== undefined && { egressBurst }) }).egress!.burstBytes
  assert.equal(burst(80_000_000), 1_000_000)
  assert.equal(burst(80_000_000, 0), 1_000_000)
  assert.equal(burst(80_000_000, 0xffff_ffff), 10_000_000)
  assert.equal(burst(80_000_000, 8), 18_432)
  assert.deepEqual(podLimits({ egressRate: 1 }).egress!.rateBytesPerSecond, 1)
})
