import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CeaseSubcode, encodeKeepalive, encodeRefresh, ErrorCode, hardReset, notificationOf } from '#/wire/bgp/index.ts'
import { type MemoryConnection } from '../testing/memory-network.ts'
import { restartOf } from '../testing/scripted-peer.ts'
import { restart, speakerConfig } from '../testing/world.ts'
import { manyKeepalives, passive, scene } from '../testing/scene.ts'

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
  assert.equal(status().pause!.untilMs! - status().sinceMs, 60_000)
  const refused = await neighbour.connect()
  assert.ok(refused.isClosed)
  neighbour.listen()
  await advance(59)
  assert.equal(neighbour.accepted.length, 0)
  await advance(2)
  assert.equal(neighbour.accepted.length, 1)
  assert.equal(status().pause, undefined)
})

test('a limit of what is taken lets pass what is refused, up to a limit of its own', async () => {
  const maxPrefixes = { count: 10, receivedCount: 100, warningPercent: 75 }
  const { neighbour, advance, status, routes } = await scene({ maxPrefixes })
  const peer = await neighbour.establish()
  routes.accepted.set('b', 10)
  peer.announce(100)
  await advance(0)
  assert.equal(status().state, 'Established')
  peer.announce(1)
  await advance(0)
  assert.equal(
    status().lastError,
    'we sent Cease: 101 prefixes where at most 100 are allowed, 10 of them accepted by the import policy',
  )
  const { neighbour: other, routes: others, advance: pass, status: now } = await scene({ maxPrefixes })
  const again = await other.establish()
  others.accepted.set('b', 11)
  again.announce(11)
  await pass(0)
  assert.equal(now().lastError, 'we sent Cease: 11 prefixes where at most 10 are allowed')
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
  assert.deepEqual(status().pause, {})
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

test('faults of UPDATEs that a session survives are counted, with the last of them', async () => {
  const { neighbour, advance, status } = await scene()
  const peer = await neighbour.establish()
  assert.equal(status().faults, undefined)
  // ORIGIN 3, AS_PATH, NEXT_HOP; two prefixes of 24 bits
  const attributes = '4001010340020602010000fdea4003040a000002'
  const body = `0000${(attributes.length / 2).toString(16).padStart(4, '0')}${attributes}180a0100180a0200`
  const update = `${'ff'.repeat(16)}${(19 + body.length / 2).toString(16).padStart(4, '0')}02${body}`
  peer.send(Buffer.from(update, 'hex'))
  peer.send(Buffer.from(update, 'hex'))
  await advance(1)
  const { state, faults } = status()
  assert.equal(state, 'Established')
  assert.deepEqual([faults?.updates, faults?.prefixes, faults?.last], [2, 4, 'treat as withdraw: ORIGIN: value 3'])
})
