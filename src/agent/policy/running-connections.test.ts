import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { Addr } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { EndedConnections } from './ended-connections.ts'
import { RunningConnections } from './running-connections.ts'

test('changes that come together are enforced before a look follows, and the look is for all of them', async () => {
  const clock = new ManualClock()
  let looks = 0
  await using made = new AsyncDisposableStack()
  const connections = made.use(
    new RunningConnections({
      evaluate: () => assert.fail('there is nothing to judge'),
      isLevel: () => true,
      localAddrs: () => [],
      mayBeUnknownPod: () => false,
      nodeAddrs: () => [],
      ended: made.use(new EndedConnections({ block: () => {}, clock, log: silent })),
      clock,
      log: silent,
      open: () => {
        looks++
        return noConnections
      },
    }),
  )
  const locals = [Addr.parse('10.244.1.2')]
  connections.note({ locals, peers: [] })
  await clock.advance(60)
  connections.note({ locals, peers: [] })
  assert.equal(looks, 0)
  await clock.advance(40)
  assert.equal(looks, 1)
  await clock.advance(1000)
  assert.equal(looks, 1)
})

const noConnections = {
  dumpInTurns: async () => [],
  executeAll: () => [],
  [Symbol.dispose]: () => {},
} as unknown as Netlink
