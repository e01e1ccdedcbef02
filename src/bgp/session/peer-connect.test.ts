import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { type ConnectOptions } from '../contract.ts'
import { type ScriptedPeer } from '../testing/scripted-peer.ts'
import { peerConfig, speakerConfig, World } from '../testing/world.ts'
import { passive, scene } from '../testing/scene.ts'

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
