// What is left of a peer's earlier settings when they change, and of its sessions when they end on purpose.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type PeerConfig } from '#/model/bgp.ts'
import { restartOf } from '../testing/scripted-peer.ts'
import { type Neighbouring, peerConfig, restart, speakerConfig, type TestSpeaker, World } from '../testing/world.ts'

type Scene = TestSpeaker & {
  readonly neighbour: Neighbouring
  readonly advance: (seconds: number) => Promise<void>
  readonly change: (changes: Partial<PeerConfig>) => void
}

async function scene(config: Partial<PeerConfig>): Promise<Scene> {
  const world = new World()
  const one = world.speaker(speakerConfig([peerConfig(config)]))
  const neighbour = world.neighbour()
  one.speaker.start()
  await world.clock.settle()
  return {
    ...one,
    neighbour,
    advance: (seconds) => world.clock.advance(seconds * 1000),
    change: (changes) => one.speaker.configure(speakerConfig([peerConfig({ ...config, ...changes })])),
  }
}

/** Its routes are kept, for it may be restarting. */
async function stale(): Promise<Scene> {
  const one = await scene({ gracefulRestart: restart })
  const peer = await one.neighbour.establish({ capabilities: { gracefulRestart: restartOf([4]) } })
  peer.connection.destroy()
  await one.advance(0)
  assert.equal(one.routes.told.at(-1), 'down b restarting 4')
  assert.equal(one.status().gracefulRestart, 'helping')
  return one
}

test('stale routes go when graceful restart is switched off, the peer may not have a session, or is reset', async () => {
  const without = await stale()
  without.speaker.configure(speakerConfig([peerConfig()]))
  assert.equal(without.routes.told.at(-1), 'sweep b 4')

  const blocked = await stale()
  blocked.change({ blockedBecause: 'there is no password' })
  assert.equal(blocked.routes.told.at(-1), 'sweep b 4')

  const reset = await stale()
  reset.speaker.reset('b', 'hard')
  assert.equal(reset.routes.told.at(-1), 'sweep b 4')
})

test('stale routes stay over changes that are none of theirs', async () => {
  const one = await stale()
  one.change({ timers: { holdTimeSeconds: 30, keepaliveSeconds: 10, connectRetrySeconds: 5 } })
  assert.equal(one.routes.told.at(-1), 'down b restarting 4')
})

test('the pause after too many prefixes ends with it: no second one is left that brings a removed peer back', async () => {
  const maxPrefixes = { count: 10, warningPercent: 75, restartSeconds: 60 }
  const { neighbour, routes, speaker, advance, change } = await scene({ maxPrefixes, mode: 'passive' })
  const exceed = async (): Promise<void> => {
    const peer = await neighbour.establish()
    peer.announce(11)
    await advance(0)
    assert.match(peer.notified!, /Maximum Number of Prefixes/)
    routes.received.clear()
  }
  await exceed()
  await advance(30)
  change({ maxPrefixes: { ...maxPrefixes, warningPercent: 80 } })
  await exceed()
  routes.told.length = 0
  await advance(31)
  const early = await neighbour.establish()
  assert.deepEqual([early.isClosed, routes.told], [true, []])
  speaker.configure(speakerConfig([]))
  await advance(100)
  assert.deepEqual(routes.told, [])
})

test('a peer that ends each session at once begins no more than one a second', async () => {
  const { neighbour, routes, advance } = await scene({ mode: 'passive' })
  for (let count = 0; count < 20; count++) {
    const peer = await neighbour.establish()
    peer.connection.destroy()
    await advance(0.1)
  }
  const ups = routes.told.filter((each) => each === 'up b').length
  assert.ok(ups >= 2 && ups <= 3, `${ups} sessions in two seconds`)
})
