import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { type PeerConfig } from '#/model/bgp.ts'
import {
  CeaseSubcode,
  encodeKeepalive,
  encodeRefresh,
  ErrorCode,
  hardReset,
  notificationOf,
  shutdownNotification,
} from '#/wire/bgp/index.ts'
import { type ConnectOptions } from '../contract.ts'
import { type SpeakerDeps } from '../speaker.ts'
import { type MemoryConnection } from '../testing/memory-network.ts'
import { restartOf, type ScriptedPeer } from '../testing/scripted-peer.ts'
import {
  type Neighbouring,
  peerConfig,
  restart,
  speakerConfig,
  type TestSpeaker,
  unnumberedConfig,
  World,
} from '../testing/world.ts'

type Scene = TestSpeaker & {
  readonly world: World
  readonly neighbour: Neighbouring
  advance(seconds: number): Promise<void>
}

/** A started speaker at 10.0.0.1 with one peer, and its neighbour at 10.0.0.2, which does not listen. */
async function scene(changes: Partial<PeerConfig> = {}, deps: Partial<SpeakerDeps> = {}): Promise<Scene> {
  const world = new World()
  const started = world.speaker(speakerConfig([peerConfig(changes)]), { deps })
  const neighbour = world.neighbour()
  started.speaker.start()
  await world.clock.settle()
  return { ...started, world, neighbour, advance: (seconds) => world.clock.advance(seconds * 1000) }
}

const manyKeepalives = (count: number): Uint8Array => Buffer.concat(Array.from({ length: count }, encodeKeepalive))

const passive = { mode: 'passive' } as const

test('the first attempt comes at once, others after the retry time, stretched by up to a quarter', async () => {
  for (const [random, seconds] of [
    [0, 10],
    [0.8, 12],
  ] as const) {
    const { neighbour, advance, status } = await scene({}, { random: () => random })
    assert.equal(status().lastError, 'connecting to 10.0.0.2 port 179 failed: ECONNREFUSED: connection refused')
    assert.equal(status().state, 'Active')
    neighbour.listen()
    await advance(seconds - 0.1)
    assert.equal(neighbour.accepted.length, 0)
    await advance(0.2)
    assert.equal(neighbour.accepted.length, 1)
    assert.deepEqual([neighbour.accepted[0]!.kinds, status().state], [['open'], 'OpenSent'])
  }
})

test('an attempt that is neither taken nor refused is given up for another', async () => {
  const { world, neighbour, advance, status } = await scene()
  world.network.cut()
  await advance(15)
  assert.equal(status().state, 'Connect')
  neighbour.listen()
  world.network.mend()
  await advance(10)
  assert.equal(neighbour.accepted.length, 1)
})

test('a passive peer is waited for, an active one is not let in, a stranger neither', async () => {
  const waiting = await scene(passive)
  waiting.neighbour.listen()
  await waiting.advance(300)
  assert.deepEqual([waiting.neighbour.accepted.length, waiting.status().state], [0, 'Active'])
  await waiting.neighbour.establish()
  assert.equal(waiting.status().state, 'Established')
  const stranger = await waiting.world.neighbour('10.0.0.3').connect()
  assert.ok(stranger.isClosed)

  const active = await scene({ mode: 'active' })
  const refused = await active.neighbour.connect()
  assert.ok(refused.isClosed)
  assert.deepEqual(refused.messages, [])
})

test('a peer that cannot have a session says why, and is told nothing', async () => {
  const { neighbour, advance, status } = await scene({ blockedBecause: 'Secret "x" is missing' })
  neighbour.listen()
  await advance(60)
  const refused = await neighbour.connect()
  assert.ok(refused.isClosed)
  assert.deepEqual([neighbour.accepted.length, status().state], [0, 'Idle'])
  assert.equal(status().lastError, 'Secret "x" is missing')
})

test('a wrong AS is answered with Bad Peer AS, and asked again ever more seldom', async () => {
  const { neighbour, advance, status } = await scene()
  neighbour.listen()
  const gaps: number[] = []
  for (let seconds = 0, last = 0; gaps.length < 6; seconds++) {
    await advance(1)
    const newest = neighbour.accepted.at(-1)
    if (newest === undefined || newest.notified !== undefined) continue
    newest.open({ asn: 65009 })
    await advance(0)
    assert.equal(newest.notified, 'OPEN Message Error/Bad Peer AS')
    assert.ok(newest.isClosed)
    assert.equal(status().state, 'Idle')
    assert.equal(status().lastError, 'we sent OPEN Message Error/Bad Peer AS: the peer is of AS 65009, expected 65002')
    gaps.push(seconds - last)
    last = seconds
  }
  assert.deepEqual(gaps.slice(1), [10, 20, 40, 80, 120])
})

test('a session that came about makes refusals of before forgotten', async () => {
  const { neighbour, advance } = await scene()
  neighbour.listen()
  const next = async (changes: Parameters<ScriptedPeer['open']>[0]): Promise<number> => {
    const count = neighbour.accepted.length
    let seconds = 0
    for (; neighbour.accepted.length === count; seconds++) await advance(1)
    const newest = neighbour.accepted.at(-1)!
    newest.open(changes)
    newest.keepalive()
    await advance(0)
    if (newest.notified === undefined) newest.connection.destroy()
    return seconds
  }
  const wrong = { asn: 65009 }
  assert.deepEqual([await next(wrong), await next(wrong), await next(wrong), await next({})], [10, 10, 20, 40])
  assert.deepEqual([await next(wrong), await next(wrong), await next(wrong)], [10, 10, 20])
})

test('a connection that is made in the moment in which it is given up is not kept', async () => {
  const world = new World()
  const theirs = world.neighbour()
  theirs.listen()
  // a kernel that had connected before it heard of the end
  const host = world.network.host(Addr.parse('10.0.0.1'))
  const transport = {
    ...host,
    connect: (options: ConnectOptions) => host.connect(options, new AbortController().signal),
  }
  const { speaker } = world.speaker(speakerConfig([peerConfig()]), { deps: { transport } })
  speaker.start()
  speaker.configure(speakerConfig([]))
  await world.clock.settle()
  assert.deepEqual([theirs.accepted.length, theirs.accepted[0]?.isClosed, theirs.accepted[0]?.kinds], [1, true, []])
})

test('a peer whose OPENs are refused does not get us to work by connecting again at once', async () => {
  const { neighbour, advance } = await scene(passive)
  for (let attempt = 0; attempt < 5; attempt++) {
    const peer = await neighbour.connect()
    peer.open({ asn: 65009 })
    await advance(0.1)
    assert.equal(peer.notified, attempt === 0 ? 'OPEN Message Error/Bad Peer AS' : undefined)
    assert.ok(peer.isClosed)
  }
  await advance(1)
  const later = await neighbour.establish()
  assert.equal(later.notified, undefined)
})

test('who says nothing after TCP is up is let go after four minutes', async () => {
  const { neighbour, advance, status } = await scene(passive)
  const peer = await neighbour.connect()
  await advance(239)
  assert.equal(status().state, 'OpenSent')
  await advance(2)
  assert.equal(peer.notified, 'Hold Timer Expired')
  assert.equal(status().state, 'Active')
})

test('a peer that closes before its OPEN is said to be perhaps not configured', async () => {
  const { neighbour, advance, status } = await scene(passive)
  const peer = await neighbour.connect()
  peer.connection.destroy()
  await advance(0)
  assert.match(status().lastError!, /^the connection broke: ECONNRESET.*before its OPEN: .*AS 65001\?$/)
})

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
  const world = new World()
  const unnumbered = unnumberedConfig('uplink0', { families: [4, 6], remoteAsn: 'external', password: 'secret' })
  const { speaker, status, routes } = world.speaker(speakerConfig([unnumbered]), {
    deps: { linkLocalOf: (device) => (device === 'uplink0' ? found : undefined) },
  })
  const neighbour = world.neighbour('fe80::2')
  neighbour.listen()
  speaker.start()
  await world.clock.settle()
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

test('too many prefixes end the session, for as long as was configured', async () => {
  const maxPrefixes = { count: 100, warningPercent: 75, restartSeconds: 60 }
  const { neighbour, advance, status, routes } = await scene({ maxPrefixes })
  const peer = await neighbour.establish()
  peer.announce(100)
  await advance(0)
  assert.equal(status().state, 'Established')
  peer.announce(1)
  await advance(0)
  assert.match(peer.notified!, /^Cease\/Maximum Number of Prefixes Reached/)
  assert.deepEqual([status().state, routes.told.at(-1)], ['Idle', 'down b gone'])
  assert.equal(status().lastError, 'we sent Cease: 101 prefixes where at most 100 are allowed')
  const refused = await neighbour.connect()
  assert.ok(refused.isClosed)
  neighbour.listen()
  await advance(59)
  assert.equal(neighbour.accepted.length, 0)
  await advance(2)
  assert.equal(neighbour.accepted.length, 1)
})

test('a peer that is configured away meanwhile does not come back', async () => {
  const maxPrefixes = { count: 10, warningPercent: 75, restartSeconds: 60 }
  const { neighbour, advance, speaker } = await scene({ maxPrefixes })
  const peer = await neighbour.establish()
  peer.announce(11)
  await advance(0)
  speaker.configure(speakerConfig([]))
  neighbour.listen()
  await advance(1_000)
  assert.equal(neighbour.accepted.length, 0)
})

test('without such a time it stays down until it is reset', async () => {
  const { neighbour, advance, status, routes, speaker } = await scene({
    maxPrefixes: { count: 10, warningPercent: 75 },
  })
  const peer = await neighbour.establish({ capabilities: { gracefulRestart: restartOf([4]) } })
  peer.announce(11)
  await advance(86_400)
  assert.equal(status().state, 'Idle')
  routes.received.clear()
  speaker.reset('b', 'hard')
  await neighbour.establish()
  assert.equal(status().state, 'Established')
})

test('a peer that does not read is not written to without bound, and is let go in the end', async () => {
  const { neighbour, advance, status, routes } = await scene(passive)
  const peer = await neighbour.establish()
  peer.connection.pause()
  const { outlet } = routes.neighbours.get('b')!
  const message = manyKeepalives(200)
  let written = 0
  while (outlet.write(message)) written += message.length
  assert.ok(written > 256 * 1024 && written < 512 * 1024, `${written} bytes`)
  // it keeps us informed that it lives, so only the send hold timer can tell
  for (let seconds = 0; seconds < 510; seconds += 30) {
    assert.equal(status().state, seconds < 480 ? 'Established' : 'Active', `after ${seconds} s`)
    peer.keepalive()
    await advance(30)
  }
  assert.equal(status().lastError, 'we sent Send Hold Timer Expired')
  assert.equal(outlet.write(message), false)
  assert.ok(peer.isClosed)
})

test('when it reads again, routes are told that they may go on', async () => {
  const { neighbour, advance, status, routes } = await scene(passive)
  const peer = await neighbour.establish()
  peer.connection.pause()
  const { outlet } = routes.neighbours.get('b')!
  while (outlet.write(manyKeepalives(200)));
  await advance(60)
  assert.equal(routes.drains, 0)
  peer.connection.resume()
  await advance(0)
  assert.equal(routes.drains, 1)
  assert.ok(outlet.write(encodeKeepalive()))
  peer.keepalive()
  await advance(60)
  assert.equal(status().state, 'Established')
})

test('a peer that sends without end is read in turns, and waits when we are behind', async () => {
  const { neighbour, status, world, routes } = await scene(passive)
  const peer = await neighbour.establish()
  const far = (peer.connection as MemoryConnection).other
  peer.send(manyKeepalives(50_000))
  let turns = 0
  let wasPaused = false
  const watch = (): void => {
    turns++
    wasPaused ||= far.isPaused
    if (turns < 2_000) world.clock.defer(watch)
  }
  watch()
  await world.clock.settle()
  assert.ok(wasPaused)
  assert.equal(far.isPaused, false)
  assert.equal(status().state, 'Established')
  peer.announce(3)
  await world.clock.settle()
  assert.equal(routes.received.get('b'), 3)
})

test('NOTIFICATIONs with the N bit keep routes, a Hard Reset does not (RFC 8538)', async () => {
  const withRestart = { capabilities: { gracefulRestart: restartOf([4]) } }
  for (const [notification, end] of [
    [notificationOf(ErrorCode.cease, CeaseSubcode.reset), 'down b restarting 4'],
    [hardReset(notificationOf(ErrorCode.cease, CeaseSubcode.reset)), 'down b gone'],
  ] as const) {
    const { neighbour, advance, routes } = await scene({ ...passive, gracefulRestart: restart })
    const peer = await neighbour.establish(withRestart)
    peer.notify(notification)
    await advance(0)
    assert.equal(routes.told.at(-1), end)
  }
  const { neighbour, advance, routes, speaker } = await scene({ ...passive, gracefulRestart: restart })
  const peer = await neighbour.establish(withRestart)
  speaker.reset('b', 'hard')
  await advance(0)
  assert.equal(peer.notified, 'Cease/Hard Reset (Cease/Administrative Reset)')
  assert.equal(routes.told.at(-1), 'down b gone')
})

test('a peer that restarted comes back on a new connection, and its routes become stale meanwhile', async () => {
  const { neighbour, advance, routes, status } = await scene({ ...passive, gracefulRestart: restart })
  const withRestart = { capabilities: { gracefulRestart: restartOf([4]) } }
  const old = await neighbour.establish(withRestart)
  await advance(3)
  routes.told.length = 0
  const again = await neighbour.connect()
  await advance(0)
  assert.equal(status().state, 'Established')
  again.open(withRestart)
  await advance(0)
  assert.deepEqual(routes.told, ['down b restarting 4'])
  assert.deepEqual([old.isClosed, old.notified, again.kinds], [true, undefined, ['open', 'keepalive']])
  again.keepalive()
  again.endOfRib()
  await advance(0)
  assert.deepEqual(routes.told, ['down b restarting 4', 'up b', 'end-of-rib b 4', 'sweep b 4'])
})

test('a connection that was on its way when the session began is no restart', async () => {
  const { neighbour, advance, routes, status } = await scene({ gracefulRestart: restart })
  const withRestart = { capabilities: { gracefulRestart: restartOf([4]) } }
  const peer = await neighbour.establish(withRestart)
  const late = await neighbour.connect()
  late.open(withRestart)
  await advance(0)
  assert.deepEqual([late.isClosed, peer.isClosed, status().state], [true, false, 'Established'])
  assert.deepEqual(routes.told, ['up b'])
})

test('without graceful restart the second connection is the one that goes', async () => {
  const { neighbour, advance, routes, status } = await scene(passive)
  const old = await neighbour.establish()
  const again = await neighbour.connect()
  again.open()
  await advance(0)
  assert.equal(again.notified, 'Cease/Connection Collision Resolution')
  assert.deepEqual([old.isClosed, status().state, routes.told], [false, 'Established', ['up b']])
})

test('a soft reset asks for all routes again, where the peer can give them', async () => {
  const { neighbour, advance, speaker } = await scene({ ...passive, families: [4, 6] })
  const peer = await neighbour.establish({ capabilities: { families: [4, 6] } })
  assert.equal(speaker.reset('b', 'soft'), true)
  assert.equal(speaker.reset('nobody', 'soft'), false)
  await advance(0)
  const asked = peer.messages.flatMap((message) => (message.kind === 'refresh' ? [message.refresh] : []))
  assert.deepEqual(asked, [
    { family: 4, kind: 'request' },
    { family: 6, kind: 'request' },
  ])
  const other = await scene(passive)
  const old = await other.neighbour.establish({ capabilities: { routeRefresh: false } })
  other.speaker.reset('b', 'soft')
  await advance(0)
  assert.ok(!old.kinds.includes('refresh'))
})

test('what the peer asks for reaches the routes', async () => {
  const { neighbour, advance, routes } = await scene(passive)
  const peer = await neighbour.establish()
  peer.send(encodeRefresh({ family: 4, kind: 'request' }))
  await advance(0)
  assert.equal(routes.told.at(-1), 'refresh b 4 request')
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
