import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { type Transport } from './contract.ts'
import { type PeerConfig, type SpeakerConfig } from '#/model/bgp.ts'
import { restartOf, type ScriptedPeer } from './testing/scripted-peer.ts'
import { type Neighbouring, peerConfig, restart, speakerConfig, type TestSpeaker, World } from './testing/world.ts'

type Pair = { readonly world: World; readonly a: TestSpeaker; readonly b: TestSpeaker }

/** Two speakers that know each other: a is 10.0.0.1 of AS 65001, b 10.0.0.2 of 65002. */
function pair(changes: { a?: Partial<PeerConfig>; b?: Partial<PeerConfig>; ofB?: Partial<SpeakerConfig> } = {}): Pair {
  const world = new World()
  const a = world.speaker(speakerConfig([peerConfig(changes.a)]))
  const toA = { name: 'a', addr: Addr.parse('10.0.0.1'), localAsn: 65002, remoteAsn: 65001 }
  const ofB = { asn: 65002, routerId: Addr.parse('10.0.0.2'), ...changes.ofB }
  const b = world.speaker(speakerConfig([peerConfig({ ...toA, ...changes.b })], ofB), {
    addrs: ['10.0.0.2', 'fe80::2'],
  })
  return { world, a, b }
}

async function established(changes: Parameters<typeof pair>[0] = {}): Promise<Pair> {
  const both = pair(changes)
  both.a.speaker.start()
  both.b.speaker.start()
  await both.world.clock.settle()
  assert.deepEqual([both.a.status().state, both.b.status().state], ['Established', 'Established'])
  return both
}

for (const [id, keeper] of [
  ['10.0.0.2', '10.0.0.2'],
  ['9.9.9.9', '10.0.0.1'],
  ['10.0.0.1', '10.0.0.2'],
] as const)
  test(`of two connections made at once one is kept: b, with router id ${id}, against 10.0.0.1 in the lower AS`, async () => {
    const { world, a, b } = await established({ ofB: { routerId: Addr.parse(id) } })
    assert.equal(world.network.connections.length, 2)
    await world.clock.advance(10_000)
    assert.deepEqual(
      world.network.open.map(({ localAddr }) => String(localAddr)),
      [keeper],
    )
    assert.deepEqual(a.routes.told, ['up b', 'end-of-rib b 4'])
    assert.deepEqual(b.routes.told, ['up a', 'end-of-rib a 4'])
    assert.deepEqual([a.status().lastError, a.status().flaps, b.status().flaps], [undefined, 0, 0])
  })

test('keepalives hold a session for a day', async () => {
  const { world, a } = await established()
  await world.clock.advance(86_400_000)
  assert.deepEqual([a.status().state, a.status().flaps], ['Established', 0])
})

test('what both agreed on is what the routes are told', async () => {
  const { a } = await established({ a: { families: [4, 6] }, b: { families: [6] } })
  const { neighbour } = a.routes.neighbours.get('b')!
  assert.deepEqual(neighbour.wire, { fourOctetAsn: true, families: [6], extendedNextHop: false, isInternal: false })
  assert.equal(String(neighbour.remoteRouterId), '10.0.0.2')
  assert.deepEqual([String(neighbour.localAddr), String(neighbour.remoteAddr)], ['10.0.0.1', '10.0.0.2'])
  assert.deepEqual(a.status().families, [6])
})

test('a host that vanishes is noticed when the hold time is over, and comes back by itself', async () => {
  const { world, a, b } = await established()
  world.network.cut()
  await world.clock.advance(91_000)
  assert.equal(a.status().state, 'Connect')
  assert.match(a.status().lastError!, /Hold Timer Expired/)
  assert.equal(a.routes.told.at(-1), 'down b gone')
  world.network.mend()
  await world.clock.advance(30_000)
  assert.deepEqual([a.status().state, b.status().state], ['Established', 'Established'])
  assert.equal(a.status().flaps, 1)
})

test('a broken connection: routes outlive it until End-of-RIB', async () => {
  const { world, a } = await established({ a: { gracefulRestart: restart }, b: { gracefulRestart: restart } })
  assert.equal(a.status().gracefulRestart, 'negotiated')
  a.routes.told.length = 0
  world.network.breakAll()
  await world.clock.settle()
  assert.deepEqual(a.routes.told, ['down b restarting 4'])
  assert.equal(a.status().gracefulRestart, 'helping')
  await world.clock.advance(15_000)
  assert.deepEqual(a.routes.told, ['down b restarting 4', 'up b', 'end-of-rib b 4', 'sweep b 4'])
  assert.equal(a.status().gracefulRestart, 'negotiated')
})

test('stopping for a restart leaves routes on both sides, and coming back is what the peer waits for', async () => {
  const { world, a, b } = await established({ a: { gracefulRestart: restart }, b: { gracefulRestart: restart } })
  await Promise.all([a.speaker.stop('restart'), world.clock.settle()])
  assert.deepEqual([a.routes.told.at(-1), b.routes.told.at(-1)], ['down b restarting 4', 'down a restarting 4'])
  assert.equal(b.status().lastError, 'the peer closed the connection')
  await world.clock.advance(60_000)
  assert.equal(a.routes.told.at(-1), 'down b restarting 4')
  assert.equal(b.status().gracefulRestart, 'helping')

  b.routes.told.length = 0
  let isReady = false
  const again = world.speaker(speakerConfig([peerConfig({ gracefulRestart: restart })], { isRestarting: true }), {
    deps: { onReady: () => (isReady = true) },
  })
  again.speaker.start()
  assert.equal(again.status().gracefulRestart, 'restarting')
  await world.clock.settle()
  assert.deepEqual(b.routes.told, ['up a', 'end-of-rib a 4', 'sweep a 4'])
  const heard = b.routes.neighbours.get('a')!.neighbour.remote.gracefulRestart
  assert.deepEqual(heard, restartOf([4], { isRestarting: true }))
  assert.deepEqual([isReady, again.status().gracefulRestart], [true, 'negotiated'])

  // the next OPEN is of no restart, but nothing stopped forwarding either
  again.speaker.reset('b', 'hard')
  await world.clock.advance(20_000)
  assert.deepEqual(b.routes.neighbours.get('a')!.neighbour.remote.gracefulRestart, restartOf([4]))
})

test('only the first session with a peer after a restart says that this is one', async () => {
  const world = new World()
  const peers = [named('b', 2, { gracefulRestart: restart }), named('c', 3, { gracefulRestart: restart })]
  const { speaker } = world.speaker(speakerConfig(peers, { isRestarting: true }))
  speaker.start()
  const bits = async (host: Neighbouring): Promise<unknown> => {
    const peer = await host.establish()
    const { isRestarting, families } = peer.openReceived!.capabilities.gracefulRestart!
    peer.connection.destroy()
    await world.clock.advance(1_000)
    return [isRestarting, families[0]!.keptForwarding]
  }
  const [b, c] = [world.neighbour('10.0.0.2'), world.neighbour('10.0.0.3')]
  assert.deepEqual(
    [await bits(b), await bits(b)],
    [
      [true, true],
      [false, true],
    ],
  )
  // who comes when nobody is waited for any more is told of no restart
  await world.clock.advance(120_000)
  assert.deepEqual(await bits(c), [false, false])
})

test('a fresh speaker has kept nothing', async () => {
  const { b } = await established({ a: { gracefulRestart: restart }, b: { gracefulRestart: restart } })
  const { families, isRestarting } = b.routes.neighbours.get('a')!.neighbour.remote.gracefulRestart!
  assert.deepEqual([families, isRestarting], [[{ family: 4, keptForwarding: false }], false])
})

test('stopping for good: peers are told why, and hard where they would wait', async () => {
  for (const [changes, expected] of [
    [{}, 'the peer sent Cease/Administrative Shutdown: "drained"'],
    [{ gracefulRestart: restart }, 'the peer sent Cease/Hard Reset (Cease/Administrative Shutdown: "drained")'],
  ] as const) {
    const { world, a, b } = await established({ a: changes, b: changes })
    await Promise.all([a.speaker.stop('shutdown', 'drained'), world.clock.settle()])
    assert.equal(b.status().lastError, expected)
    assert.deepEqual([a.routes.told.at(-1), b.routes.told.at(-1)], ['down b gone', 'down a gone'])
    await world.clock.advance(100_000)
    assert.equal(a.status().state, 'Idle')
    assert.equal(world.network.open.length, 0)
  }
})

test('stopping for a restart where the peer cannot wait', async () => {
  const { world, a, b } = await established({ a: { gracefulRestart: restart } })
  await Promise.all([a.speaker.stop('restart', 'upgrade'), world.clock.settle()])
  assert.equal(b.status().lastError, 'the peer sent Cease/Administrative Reset: "upgrade"')
})

test('stopping waits for a peer that takes nothing more, but not for long', async () => {
  const { world, a } = await established()
  world.network.cut()
  let isStopped = false
  const stopping = a.speaker.stop('shutdown').then(() => (isStopped = true))
  await world.clock.advance(2_900)
  assert.equal(isStopped, false)
  await world.clock.advance(200)
  assert.equal(isStopped, true)
  await stopping
})

const address = (last: number): string => `10.0.0.${last}`
const named = (name: string, last: number, changes: Partial<PeerConfig> = {}): PeerConfig =>
  peerConfig({ name, addr: Addr.parse(address(last)), mode: 'passive', ...changes })

/** A speaker with peers b, c and so on, each established. */
async function several(
  configs: readonly PeerConfig[],
): Promise<TestSpeaker & { world: World; peers: Map<string, ScriptedPeer>; hosts: Map<string, Neighbouring> }> {
  const world = new World()
  const started = world.speaker(speakerConfig(configs))
  started.speaker.start()
  const [peers, hosts] = [new Map<string, ScriptedPeer>(), new Map<string, Neighbouring>()]
  for (const { name, addr } of configs) {
    const host = world.neighbour(String(addr))
    hosts.set(name, host)
    peers.set(name, await host.establish({ routerId: addr! }))
  }
  return { ...started, world, peers, hosts }
}

test('a new configuration touches only sessions that it changes', async () => {
  const { world, speaker, routes, peers, status } = await several(
    ['b', 'c', 'd', 'e'].map((name, i) => named(name, i + 2)),
  )
  const policy = { rules: [], otherwise: 'accept' } as const
  const config = speakerConfig([
    named('b', 2, { importPolicy: policy, nextHopSelf: true, maxPrefixes: { count: 9, warningPercent: 75 } }),
    named('c', 3, { timers: { holdTimeSeconds: 30, keepaliveSeconds: 10, connectRetrySeconds: 10 } }),
    named('e', 5, { blockedBecause: 'no such Secret' }),
    named('f', 6),
  ])
  speaker.configure(config)
  await world.clock.settle()
  assert.equal(routes.config, config)
  assert.equal(peers.get('b')!.notified, undefined)
  assert.equal(peers.get('c')!.notified, 'Cease/Other Configuration Change')
  assert.equal(peers.get('d')!.notified, 'Cease/Peer De-configured')
  assert.equal(peers.get('e')!.notified, 'Cease/Other Configuration Change')
  const told = routes.told.filter((each) => each.startsWith('down')).sort()
  assert.deepEqual(told, ['down c gone', 'down d gone', 'down e gone'])
  assert.deepEqual(
    speaker.peers().map(({ name, state }) => [name, state]),
    [
      ['b', 'Established'],
      ['c', 'Active'],
      ['e', 'Idle'],
      ['f', 'Active'],
    ],
  )
  assert.equal(status('e').lastError, 'no such Secret')
  speaker.configure(speakerConfig([named('b', 2), named('e', 5)]))
  await world.clock.settle()
  assert.deepEqual([status('b').state, status('e').state], ['Established', 'Active'])
})

test('the same configuration, made anew, changes nothing', async () => {
  const changes = { gracefulRestart: restart, password: 'x', bfd: { intervalMs: 300, detectMultiplier: 3 } }
  const { world, speaker, peers } = await several([named('b', 2, changes)])
  const { name, ...rest } = named('b', 2, structuredClone(changes))
  speaker.configure(speakerConfig([{ ...rest, name }]))
  await world.clock.settle()
  assert.equal(peers.get('b')!.notified, undefined)
})

test('another router id is another speaker: every session begins anew', async () => {
  const { world, speaker, peers } = await several([named('b', 2), named('c', 3)])
  speaker.configure(speakerConfig([named('b', 2), named('c', 3)], { routerId: Addr.parse('10.9.9.9') }))
  await world.clock.settle()
  for (const peer of peers.values()) assert.equal(peer.notified, 'Cease/Other Configuration Change')
})

test('a session that is configured anew keeps its routes meanwhile where both have the N bit; another router does not', async () => {
  const withRestart = { gracefulRestart: restart }
  const timers = { holdTimeSeconds: 30, keepaliveSeconds: 10, connectRetrySeconds: 10 }
  for (const [changes, end] of [
    [{ timers }, 'down b restarting 4'],
    [{ addr: Addr.parse('10.0.0.9') }, 'down b gone'],
  ] as const) {
    const world = new World()
    const { speaker, routes } = world.speaker(speakerConfig([named('b', 2, withRestart)]))
    speaker.start()
    const peer = await world.neighbour().establish({ capabilities: { gracefulRestart: restartOf([4]) } })
    speaker.configure(speakerConfig([named('b', 2, { ...withRestart, ...changes })]))
    await world.clock.settle()
    assert.equal(routes.told.at(-1), end)
    assert.match(peer.notified!, /Other Configuration Change/)
  }
})

test('routes that are kept for a peer go when it is configured away, or is another router', async () => {
  for (const peers of [[], [named('b', 9, { gracefulRestart: restart })]]) {
    const world = new World()
    const { speaker, routes, status } = world.speaker(speakerConfig([named('b', 2, { gracefulRestart: restart })]))
    speaker.start()
    const peer = await world.neighbour().establish({ capabilities: { gracefulRestart: restartOf([4]) } })
    peer.connection.destroy()
    await world.clock.settle()
    assert.deepEqual([routes.told.at(-1), status().gracefulRestart], ['down b restarting 4', 'helping'])
    speaker.configure(speakerConfig(peers))
    assert.equal(routes.told.at(-1), 'sweep b 4')
  }
})

test('passwords follow the peers', () => {
  const world = new World()
  const { speaker } = world.speaker(speakerConfig([named('b', 2, { password: 'one' }), named('c', 3)]))
  speaker.start()
  assert.deepEqual(world.network.passwords.splice(0), [['10.0.0.2', 'one']])
  speaker.configure(speakerConfig([named('b', 2, { password: 'two' }), named('c', 3, { password: 'three' })]))
  assert.deepEqual(world.network.passwords.splice(0), [
    ['10.0.0.2', 'two'],
    ['10.0.0.3', 'three'],
  ])
  speaker.configure(speakerConfig([named('c', 3, { password: 'three' })]))
  assert.deepEqual(world.network.passwords.splice(0), [['10.0.0.2', undefined]])
})

test('a peer with a password is never let in without, be it that the kernel refuses keys', async () => {
  for (const refusesPasswords of [false, true]) {
    const world = new World()
    world.network.refusesPasswords = refusesPasswords
    const { speaker } = world.speaker(speakerConfig([named('b', 2, { password: 'one', mode: 'passive' })]))
    speaker.start()
    const connected = await world.neighbour().connect()
    await world.clock.settle()
    assert.equal(connected.isClosed, refusesPasswords)
  }
})

test('strangers that connect again and again are a line of the log a second', async () => {
  const world = new World()
  let lines = 0
  const log = { ...silent, debug: () => lines++ }
  const { speaker } = world.speaker(speakerConfig([]), { deps: { log } })
  speaker.start()
  for (let count = 0; count < 20; count++) {
    const stranger = await world.neighbour('10.0.0.66').connect()
    await world.clock.advance(100)
    assert.ok(stranger.isClosed)
  }
  assert.equal(lines, 2)
})

test('where the port is taken the speaker connects, tries the port ever less often, and neighbours connect once it is free', async () => {
  const world = new World()
  const { neighbour, troubles, tries, transport, taken } = takenScene(world)
  const { speaker, status } = world.speaker(speakerConfig([peerConfig({ password: 'p' })]), {
    deps: { transport, onPortTrouble: (why) => troubles.push(why) },
  })
  neighbour.listen()
  speaker.start()
  await world.clock.settle()
  assert.equal(status().state, 'OpenSent')
  assert.deepEqual(troubles, ['EADDRINUSE: address already in use'])
  await world.clock.advance(120_000)
  const pauses = tries.slice(1).map((ms, index) => ms - tries[index]!)
  assert.deepEqual(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
  taken.close()
  await world.clock.advance(30_000)
  assert.deepEqual(troubles, ['EADDRINUSE: address already in use', undefined])
  assert.deepEqual(world.network.passwords.at(-1), ['10.0.0.2', 'p'])
  const peer = await neighbour.connect()
  assert.equal(peer.isClosed, false)
})

test('a port that is not wanted any more is not waited for', async () => {
  const world = new World()
  const { troubles, tries, transport } = takenScene(world)
  const { speaker } = world.speaker(speakerConfig([]), {
    deps: { transport, onPortTrouble: (why) => troubles.push(why) },
  })
  speaker.start()
  const { listenPort: _, ...config } = speakerConfig([])
  speaker.configure(config)
  await world.clock.advance(120_000)
  assert.equal(tries.length, 1)
  assert.deepEqual(troubles, ['EADDRINUSE: address already in use', undefined])
})

/** The speaker's host has another program on the port. */
function takenScene(world: World) {
  const host = world.network.host(Addr.parse('10.0.0.1'))
  const tries: number[] = []
  const transport: Transport = {
    connect: (...args) => host.connect(...args),
    listen: (...args) => {
      tries.push(world.clock.nowMs())
      return host.listen(...args)
    },
  }
  const troubles: (string | undefined)[] = []
  return { neighbour: world.neighbour(), troubles, tries, transport, taken: host.listen(179, () => {}) }
}

test('a speaker that does not listen connects', async () => {
  const world = new World()
  const { listenPort: _, ...config } = speakerConfig([peerConfig()])
  const { speaker, status } = world.speaker(config)
  const neighbour = world.neighbour()
  neighbour.listen()
  speaker.start()
  await world.clock.settle()
  assert.equal(status().state, 'OpenSent')
})

async function readyAfter(
  configs: readonly PeerConfig[],
  act: (world: World) => Promise<void>,
): Promise<{ now: boolean; after: number[] }> {
  const world = new World()
  const after: number[] = []
  const startMs = world.clock.nowMs()
  const onReady = (): void => void after.push((world.clock.nowMs() - startMs) / 1000)
  const { speaker } = world.speaker(speakerConfig(configs), { deps: { onReady } })
  speaker.start()
  await world.clock.settle()
  await act(world)
  const now = after.length > 0
  await world.clock.advance(1_000_000)
  return { now, after }
}

test('ready when every peer has sent End-of-RIB for every family, or waited for long enough', async () => {
  const nothing = async (): Promise<void> => {}
  assert.deepEqual(await readyAfter([], nothing), { now: true, after: [0] })
  assert.deepEqual(await readyAfter([named('b', 2, { blockedBecause: 'x' })], nothing), { now: true, after: [0] })
  assert.deepEqual(await readyAfter([named('b', 2)], nothing), { now: false, after: [60] })
  assert.deepEqual(await readyAfter([named('b', 2, { gracefulRestart: restart })], nothing), {
    now: false,
    after: [120],
  })
  const one = async (world: World): Promise<void> => {
    const peer = await world.neighbour().establish()
    peer.endOfRib()
    await world.clock.settle()
  }
  assert.deepEqual(await readyAfter([named('b', 2)], one), { now: true, after: [0] })
  assert.deepEqual(await readyAfter([named('b', 2), named('c', 3)], one), { now: false, after: [60] })
})

test('a peer that floods us delays nobody else', async () => {
  const { world, routes, peers } = await several([named('b', 2), named('c', 3)])
  for (let batch = 0; batch < 50; batch++) peers.get('b')!.announce(2_000)
  let turns = 0
  const seen: number[] = []
  const watch = (): void => {
    turns++
    if (turns === 5) peers.get('c')!.announce(1)
    if (routes.received.has('c')) seen.push(turns)
    else world.clock.defer(watch)
  }
  watch()
  await world.clock.settle()
  assert.equal(routes.received.get('b'), 100_000)
  assert.ok(seen[0]! < 60, `after ${seen[0]} turns`)
})
