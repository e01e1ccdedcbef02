import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { encodeKeepalive, encodeNotification, notificationOf } from '#/wire/bgp/index.ts'
import { type Connection, type ConnectionHandlers } from '../contract.ts'
import { ManualClock } from '../testing/manual-clock.ts'
import { Link } from './link.ts'
import { RoundRobin } from './round-robin.ts'

/** A connection that only writes down what is done with it. */
class FakeConnection implements Connection {
  readonly localAddr = Addr.parse('10.0.0.1')
  readonly remoteAddr = Addr.parse('10.0.0.2')
  readonly did: string[] = []
  queuedBytes = 0
  handlers: ConnectionHandlers = { onData() {}, onDrain() {}, onClose() {} }

  write(bytes: Uint8Array): boolean {
    this.did.push(`write ${bytes[18]}`)
    return this.queuedBytes === 0
  }
  end(): void {
    this.did.push('end')
  }
  destroy(): void {
    this.did.push('destroy')
  }
  pause(): void {
    this.did.push('pause')
  }
  resume(): void {
    this.did.push('resume')
  }
  setTtl(): void {}
}

type Scene = { connection: FakeConnection; link: Link; told: string[]; clock: ManualClock; round(): void }

/** Turns come when the test says so; time too. */
function setUp(): Scene {
  const clock = new ManualClock()
  const connection = new FakeConnection()
  const told: string[] = []
  const rounds: (() => void)[] = []
  const turns = new RoundRobin({ roundMs: 5 }, { defer: (call) => rounds.push(call), nowMs: () => clock.nowMs() })
  const link = new Link(
    { id: 1, connection },
    {
      clock,
      turns,
      random: () => 0,
      contain: (call) => call(),
      handlers: {
        onMessage: (of, { kind }) => {
          told.push(kind)
          of.touchHold()
        },
        onMalformed: (_, error) => told.push(error.message),
        onClosed: (_, error) => told.push(`closed ${error?.message}`),
        onTimer: (_, kind) => told.push(kind),
        onTurnEnd() {},
        onDrain() {},
        onGone: () => told.push('gone'),
      },
    },
  )
  return { connection, link, told, clock, round: () => rounds.shift()?.() }
}

const keepalives = (count: number): Uint8Array => Buffer.concat(Array.from({ length: count }, encodeKeepalive))

test('what came before the end is read before the end is told', () => {
  const { connection, told, round } = setUp()
  connection.handlers.onData(keepalives(1))
  connection.handlers.onData(encodeNotification(notificationOf(6, 4)))
  connection.handlers.onClose(new Error('ECONNRESET'))
  assert.deepEqual(told, [])
  round()
  assert.deepEqual(told, ['keepalive', 'notification', 'closed ECONNRESET'])
})

test('the hold timer does not expire while what the peer has sent waits for its turn', async () => {
  const { connection, link, told, clock, round } = setUp()
  link.setHold(9)
  connection.handlers.onData(keepalives(1))
  await clock.advance(20_000)
  assert.deepEqual(told, [])
  round()
  await clock.advance(8_000)
  assert.deepEqual(told, ['keepalive'])
  await clock.advance(2_000)
  assert.deepEqual(told, ['keepalive', 'holdExpired'])
})

test('the send hold timer expires only when nothing is taken any more (RFC 9687)', async () => {
  const { connection, link, told, clock } = setUp()
  link.setSendHold(480)
  connection.queuedBytes = 1_000
  link.write(keepalives(1))
  for (let taken = 0; taken < 5; taken++) {
    await clock.advance(400_000)
    connection.queuedBytes -= 1
  }
  assert.deepEqual(told, [])
  await clock.advance(960_000)
  assert.deepEqual(told, ['sendHoldExpired'])
})

test('a peer that sends faster than it is read is paused, and goes on when all is read', () => {
  const { connection, told, round } = setUp()
  const chunk = keepalives(3_000)
  for (let count = 0; count < 10; count++) connection.handlers.onData(chunk)
  assert.deepEqual(connection.did, ['pause'])
  for (let rounds = 0; rounds < 30_000 / 64 + 1; rounds++) round()
  assert.deepEqual([told.length, connection.did], [30_000, ['pause', 'resume']])
})

test('a connection that is dropped says its last word, reads on, and does not linger', async () => {
  const { connection, link, told, clock, round } = setUp()
  for (let count = 0; count < 10; count++) connection.handlers.onData(keepalives(3_000))
  link.drop(encodeNotification(notificationOf(6, 2)))
  round()
  connection.handlers.onData(keepalives(1))
  round()
  assert.deepEqual([told, connection.did], [[], ['pause', 'write 3', 'end', 'resume']])
  assert.equal(link.write(keepalives(1)), false)
  await clock.advance(3_000)
  assert.deepEqual([told, connection.did.at(-1)], [['gone'], 'destroy'])
  connection.handlers.onClose()
  assert.deepEqual(told, ['gone'])
})

test('a connection that closes after it was dropped is gone at once', async () => {
  const { connection, link, told, clock } = setUp()
  link.drop()
  connection.handlers.onClose()
  await clock.advance(10_000)
  assert.deepEqual([told, connection.did], [['gone'], ['end']])
})
