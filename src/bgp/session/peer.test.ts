import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { type PeerConfig } from '#/model/bgp.ts'
import { CeaseSubcode, ErrorCode, notificationOf, shutdownNotification } from '#/wire/bgp/index.ts'
import { type SpeakerDeps } from '../speaker.ts'
import { type MemoryConnection } from '../testing/memory-network.ts'
import { restartOf, type ScriptedPeer } from '../testing/scripted-peer.ts'
import { peerConfig, restart, speakerConfig, unnumberedConfig, World } from '../testing/world.ts'
import { passive, scene } from '../testing/scene.ts'

test('keepalives go out three times a hold time and come in the same; silence ends the session', async () => {
  const { neighbour, advance, status, routes } = await scene(passive)
  const peer = await neighbour.establish({ holdTimeSeconds: 9 })
  assert.equal(status().holdTimeSeconds, 9)
  const before = peer.messages.length
  for (let seconds = 0; seconds < 90; seconds += 3) {
    peer.keepalive()
    await advance(3)
  }
  const sent = peer.messages.length - before
  // 3 s, less up to a quarter (RFC 4271 section 10); the test's chance is always the shortest
  assert.equal(sent, 40)
  assert.equal(status().state, 'Established')
  await advance(10)
  assert.equal(peer.notified, 'Hold Timer Expired')
  assert.deepEqual(routes.told.at(-1), 'down b gone')
  assert.equal(status().lastError, 'we sent Hold Timer Expired')
})

test('a hold time of 0: no keepalives, and silence is fine', async () => {
  const { neighbour, advance, status } = await scene(passive)
  const peer = await neighbour.establish({ holdTimeSeconds: 0 })
  const before = peer.messages.length
  await advance(86_400)
  assert.deepEqual([status().state, peer.messages.length], ['Established', before])
})

test('UPDATEs hold a session as keepalives do', async () => {
  const { neighbour, advance, status } = await scene(passive)
  const peer = await neighbour.establish({ holdTimeSeconds: 9 })
  for (let seconds = 0; seconds < 60; seconds += 6) {
    peer.announce(1)
    await advance(6)
  }
  assert.equal(status().state, 'Established')
})

test('attempts that come to nothing do not hide why the last session ended', async () => {
  const { neighbour, advance, status } = await scene()
  const peer = await neighbour.establish()
  peer.notify(notificationOf(ErrorCode.cease, CeaseSubcode.maxPrefixes))
  await advance(0)
  const why = status().lastError
  assert.match(why!, /^the peer sent Cease\//)
  await advance(30)
  assert.match(status().lastError!, /^connecting to .* failed: /)
  assert.ok(status().lastError!.endsWith(`; the session before it ended because ${why}`))
  await neighbour.establish()
  assert.doesNotMatch(status().lastError!, /session before/)
})

test("a peer's own words of farewell are what an operator reads, also when it closes right behind them", async () => {
  const { neighbour, advance, status, routes } = await scene(passive)
  const peer = await neighbour.establish()
  peer.announce(500)
  peer.notify(shutdownNotification(CeaseSubcode.shutdown, 'power work in row 7'))
  await advance(0)
  assert.equal(status().lastError, 'the peer sent Cease/Administrative Shutdown: "power work in row 7"')
  assert.deepEqual([routes.received.get('b'), routes.told.at(-1), status().flaps], [500, 'down b gone', 1])
  assert.equal(peer.notified, undefined)
})

test('a session that lasted is sought again after a second, one that flaps after the retry time', async () => {
  const { world, neighbour, advance, status } = await scene()
  neighbour.listen()
  await advance(11)
  const establish = async (): Promise<ScriptedPeer> => {
    const peer = neighbour.accepted.at(-1)!
    peer.open()
    peer.keepalive()
    await world.clock.settle()
    assert.equal(status().state, 'Established')
    return peer
  }
  const first = await establish()
  await advance(20)
  first.connection.destroy()
  await advance(0.9)
  assert.equal(neighbour.accepted.length, 1)
  await advance(0.2)
  assert.equal(neighbour.accepted.length, 2)
  const second = await establish()
  second.connection.destroy()
  await advance(9)
  assert.equal(neighbour.accepted.length, 2)
  await advance(2)
  assert.equal(neighbour.accepted.length, 3)
  assert.equal(status().flaps, 2)
})

test('an unnumbered peer is found by its link, at both ends', async () => {
  let found: Addr | undefined
  let trouble: string | undefined = 'device uplink0 is down'
  const world = new World()
  const unnumbered = unnumberedConfig('uplink0', { families: [4, 6], remoteAsn: 'external', password: 'secret' })
  const { speaker, status, routes } = world.speaker(speakerConfig([unnumbered]), {
    deps: { linkLocalOf: (device) => (device === 'uplink0' ? found : undefined), linkTroubleOf: () => trouble },
  })
  const neighbour = world.neighbour('fe80::2')
  neighbour.listen()
  speaker.start()
  await world.clock.settle()
  const failed = 'connecting to the router on uplink0 port 179 failed: device uplink0 is down'
  assert.equal(status().lastError, failed)
  trouble = undefined
  await world.clock.advance(10_000)
  assert.match(status().lastError!, /^no router has shown itself on uplink0 yet/)
  found = Addr.parse('fe80::2')
  await world.clock.advance(10_000)
  assert.equal(neighbour.accepted.length, 1)
  assert.equal(status().addr, 'fe80::2')
  assert.deepEqual(world.network.passwords, [['fe80::2', 'secret']])
  const offered = neighbour.accepted[0]!.openReceived!.capabilities
  assert.deepEqual([offered.families, offered.extendedNextHop], [[4, 6], [4]])
  assert.equal(neighbour.accepted[0]!.connection.device, 'uplink0')

  const elsewhere = await neighbour.connect('fe80::1', 'uplink1')
  assert.ok(elsewhere.isClosed)
  // from where it was not found the kernel takes segments without the password
  const stranger = await world.neighbour('fe80::66').connect('fe80::1', 'uplink0')
  assert.ok(stranger.isClosed)
  const peer = await neighbour.connect('fe80::1', 'uplink0')
  peer.open({ capabilities: { families: [4], extendedNextHop: [4] } })
  peer.keepalive()
  await world.clock.settle()
  assert.equal(status().state, 'Established')
  assert.ok(routes.neighbours.get('b')!.neighbour.wire.extendedNextHop)
})

test('a link-local address is of one link only', async () => {
  const world = new World()
  const linkLocal = peerConfig({ addr: Addr.parse('fe80::2'), device: 'uplink0', families: [6], mode: 'passive' })
  const { speaker } = world.speaker(speakerConfig([linkLocal]))
  speaker.start()
  const neighbour = world.neighbour('fe80::2')
  const [there, elsewhere] = [
    await neighbour.connect('fe80::1', 'uplink0'),
    await neighbour.connect('fe80::1', 'uplink1'),
  ]
  assert.deepEqual([there.isClosed, elsewhere.isClosed], [false, true])
  assert.deepEqual(elsewhere.messages, [])
})

test('TTLs protect both ends (RFC 5082), else keep external sessions on the link', async () => {
  const ttlOf = async (changes: Partial<PeerConfig>): Promise<MemoryConnection['ttl']> => {
    const { neighbour } = await scene({ ...passive, ...changes })
    return ((await neighbour.connect()).connection as MemoryConnection).other.ttl
  }
  assert.deepEqual(await ttlOf({ ttlSecurityHops: 1 }), { ttl: 255, minTtl: 255 })
  assert.deepEqual(await ttlOf({ ttlSecurityHops: 3 }), { ttl: 255, minTtl: 253 })
  assert.deepEqual(await ttlOf({}), { ttl: 1 })
  assert.deepEqual(await ttlOf({ multihopTtl: 4 }), { ttl: 4 })
  assert.deepEqual(await ttlOf({ remoteAsn: 65001 }), {})
})

test('BFD that was up and is down ends the session at once; one that never came up holds nothing down', async () => {
  const watches: { tell(state: 'Up' | 'Down' | 'AdminDown'): void; disposed: boolean; localAddr: string }[] = []
  const bfd: NonNullable<SpeakerDeps['bfd']> = {
    rest() {},
    watch({ localAddr }, _settings, onState) {
      const watch = { tell: onState, disposed: false, localAddr: String(localAddr) }
      watches.push(watch)
      return {
        state: 'Down',
        [Symbol.dispose]: () => {
          watch.disposed = true
        },
      }
    },
  }
  const settings = { bfd: { intervalMs: 300, detectMultiplier: 3 }, gracefulRestart: restart }
  const { neighbour, advance, status, routes } = await scene({ ...passive, ...settings }, { bfd })
  const peer = await neighbour.establish({ capabilities: { gracefulRestart: restartOf([4]) } })
  assert.deepEqual([watches.length, watches[0]!.localAddr, status().bfd], [1, '10.0.0.1', 'Down'])
  watches[0]!.tell('Down')
  await advance(0)
  assert.equal(status().state, 'Established')
  for (const state of ['Up', 'AdminDown', 'Down'] as const) watches[0]!.tell(state)
  await advance(0)
  assert.equal(status().state, 'Established')
  watches[0]!.tell('Up')
  watches[0]!.tell('Down')
  await advance(0)
  assert.equal(peer.notified, 'Cease/BFD Down')
  assert.deepEqual([status().state, routes.told.at(-1), watches[0]!.disposed], ['Active', 'down b gone', true])
})

test('flapping leaves nothing behind', async () => {
  const { world, neighbour, advance, status } = await scene({ ...passive, gracefulRestart: restart })
  const counts: number[] = []
  for (let round = 0; round < 20; round++) {
    const peer = await neighbour.establish({ capabilities: { gracefulRestart: restartOf([4]) } })
    peer.endOfRib()
    await advance(1)
    counts.push(world.clock.timerCount)
    peer.connection.destroy()
    await advance(1)
  }
  assert.equal(status().flaps, 20)
  assert.equal(new Set(counts).size, 1, counts.join())
})

test('the same happenings give the same bytes', async () => {
  const run = async (): Promise<unknown> => {
    const { neighbour, advance, routes, status } = await scene(passive)
    const peer = await neighbour.establish()
    peer.announce(1000)
    await advance(100)
    return [peer.messages, routes.told, status()]
  }
  assert.deepEqual(await run(), await run())
})
