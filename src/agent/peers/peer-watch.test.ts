import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { type Verdict } from '#/model/verdict.ts'
import { PeerWatch } from './peer-watch.ts'

function verdict(number: number): Verdict {
  const tunnel = {
    outer: 4,
    src: Addr.parse('172.30.1.1'),
    dst: Addr.parse(`172.30.1.${number}`),
    gateway: Addr.parse('169.254.42.1'),
  } as const
  const dst = Prefix.parse(`10.244.${number}.0/24`)
  return { way: 'vxlan', node: `node-${number}`, dst, tunnel, mtuBytes: 1450, reason: '' }
}

test('while the API is away, nodes from which nothing comes may have died, and this one is not cut off', async () => {
  const clock = new ManualClock()
  let sent = 0
  let isLifeKnown = true
  await using watch = new PeerWatch({
    nodeName: 'node-1',
    verdicts: () => [verdict(2), verdict(3)],
    isLive: () => true,
    isLifeKnown: () => isLifeKnown,
    onChange() {},
    log: silent,
    clock,
    ask: async () => new Set(),
    readPackets: async (set) =>
      new Map(set.startsWith('to') ? [2, 3].map((number) => [`172.30.1.${number}`, sent]) : []),
  })
  for (let round = 0; round < 6; round++) {
    await clock.advance(15_000)
    sent += 100
    await watch.round()
  }
  assert.match(watch.isolation ?? '', /nothing comes from any.*: node-2, node-3$/)
  isLifeKnown = false
  assert.equal(watch.isolation, undefined)
  assert.deepEqual(
    watch.problems.map(({ object }) => object),
    ['node/node-2', 'node/node-3'],
  )
})
