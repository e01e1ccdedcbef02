// For whose End-of-RIB a speaker that restarts waits before it sends its own (RFC 4724 section 4.1).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type GracefulRestartCapability } from '#/wire/bgp/values.ts'
import { restartOf, type ScriptedPeer } from './testing/scripted-peer.ts'
import { peerConfig, speakerConfig, type TestSpeaker, World } from './testing/world.ts'

const gracefulRestart = { restartTimeSeconds: 120, stalePathTimeSeconds: 360 }

/** One that restarts, with one peer. */
async function restarting(): Promise<{ world: World; routes: TestSpeaker['routes'] }> {
  const world = new World()
  const config = speakerConfig([peerConfig({ gracefulRestart, mode: 'passive' })], { isRestarting: true })
  const { speaker, routes } = world.speaker(config)
  speaker.start()
  await world.clock.settle()
  return { world, routes }
}

const up = async (world: World, capability?: GracefulRestartCapability): Promise<ScriptedPeer> =>
  world.neighbour().establish({ capabilities: capability ? { gracefulRestart: capability } : {} })

test("a peer that helps is waited for until its End-of-RIB, one that is not there for the deferral's time", async () => {
  const { world, routes } = await restarting()
  const peer = await up(world, restartOf([4]))
  assert.equal(routes.isDeferralOver, false)
  peer.endOfRib()
  await world.clock.settle()
  assert.equal(routes.isDeferralOver, true)

  const alone = await restarting()
  await alone.world.clock.advance(119_000)
  assert.equal(alone.routes.isDeferralOver, false)
  await alone.world.clock.advance(2_000)
  assert.equal(alone.routes.isDeferralOver, true)
})

test('a peer that restarts as well, or knows no graceful restart, is not waited for', async () => {
  for (const capability of [restartOf([4], { isRestarting: true }), undefined]) {
    const { world, routes } = await restarting()
    assert.equal(routes.isDeferralOver, false)
    await up(world, capability)
    assert.equal(routes.isDeferralOver, true)
  }
})
