// A neighbour that sends anything, at any time: it gets the NOTIFICATION that the RFCs have for it, and nobody else notices.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr } from '#/lib/addr.ts'
import {
  BgpError,
  type BgpMessage,
  encodeAnnouncements,
  encodeEndOfRib,
  encodeKeepalive,
  encodeNotification,
  encodeOpen,
  encodeRefresh,
  MessageReader,
  nlriOf,
  type Notification,
  notificationOf,
  notificationText,
  type WireSettings,
} from '#/wire/bgp/index.ts'
import { Prefix } from '#/lib/addr.ts'
import { openMessage, restartOf } from '../testing/scripted-peer.ts'
import { peerConfig, restart, speakerConfig, World } from '../testing/world.ts'
import { judgeOpen } from './open.ts'

const config = peerConfig({ mode: 'passive', gracefulRestart: restart, families: [4, 6] })
const nothingYet: WireSettings = { fourOctetAsn: true, families: [], extendedNextHop: false, isInternal: false }

const good: readonly Uint8Array[] = [
  encodeOpen(openMessage()),
  encodeOpen(openMessage({ capabilities: { families: [4, 6], gracefulRestart: restartOf([4, 6]) } })),
  encodeOpen(openMessage({ asn: 65009 })),
  encodeOpen(openMessage({ holdTimeSeconds: 0 })),
  encodeOpen(openMessage({ capabilities: { families: [] } })),
  encodeKeepalive(),
  encodeKeepalive(),
  encodeNotification(notificationOf(6, 4)),
  encodeRefresh({ family: 4, kind: 'request' }),
  encodeRefresh({ family: 6, kind: 'end' }),
  encodeEndOfRib(4),
  encodeEndOfRib(6),
  encodeAnnouncements(
    {
      family: 4,
      nextHop: { addr: Addr.parse('10.0.0.2') },
      attributes: { origin: 0, asPath: [{ kind: 'sequence', asns: [65002] }] },
    },
    [nlriOf(Prefix.parse('10.1.0.0/16'))],
    nothingYet,
  ),
]
const [firstOpen, firstKeepalive] = [good[0]!, good[5]!]

const garbage = fc.uint8Array({ minLength: 1, maxLength: 60 })
const message = fc.constantFrom(...good)
/** A good header over anything. */
const framed = fc
  .record({ type: fc.integer({ min: 0, max: 6 }), body: fc.uint8Array({ maxLength: 80 }) })
  .map(({ type, body }) => {
    const length = 19 + body.length
    return Uint8Array.from([...Array<number>(16).fill(0xff), length >> 8, length & 0xff, type, ...body])
  })
const mutated = fc
  .record({ of: message, at: fc.nat(200), value: fc.integer({ min: 0, max: 255 }) })
  .map(({ of, at, value }) => {
    const copy = Uint8Array.from(of)
    copy[at % copy.length] = value
    return copy
  })
const stream = fc.record({
  /** How far the session has come before. */
  before: fc.constantFrom(0, 1, 2),
  parts: fc.array(fc.oneof({ weight: 4, arbitrary: message }, mutated, framed, { weight: 1, arbitrary: garbage }), {
    maxLength: 12,
  }),
  chunk: fc.integer({ min: 1, max: 200 }),
  isClosed: fc.boolean(),
})

/** What RFC 4271 has for these bytes: a notification, "closed" after one of the peer's, or nothing. */
function answerTo(bytes: Uint8Array): Notification | 'closed' | undefined {
  const reader = new MessageReader()
  reader.push(bytes)
  let phase = 1
  let wire = nothingYet
  const unexpected = (): Notification => notificationOf(5, phase)
  for (;;) {
    let next: BgpMessage | undefined
    try {
      next = reader.next(wire)
    } catch (error) {
      assert.ok(error instanceof BgpError, String(error))
      return error.notification
    }
    if (next === undefined) return undefined
    if (next.kind === 'notification') return 'closed'
    if (next.kind === 'open') {
      if (phase !== 1) return unexpected()
      const verdict = judgeOpen(config, { routerId: Addr.parse('10.0.0.1'), isOverIpv6: false }, next.open)
      if (verdict.kind === 'refused') return verdict.notification
      phase = 2
      wire = verdict.negotiated.wire
    } else if (next.kind === 'keepalive') {
      if (phase === 1) return unexpected()
      phase = 3
    } else if (phase !== 3) return unexpected()
  }
}

test('any bytes in any state get the answer of the RFCs, and no other session notices', async () => {
  await fc.assert(
    fc.asyncProperty(stream, async ({ before, parts, chunk, isClosed }) => {
      const bytes = Buffer.concat([...[firstOpen, firstKeepalive].slice(0, before), ...parts])
      const world = new World()
      const other = peerConfig({ name: 'c', addr: Addr.parse('10.0.0.3'), mode: 'passive' })
      const { speaker, status, routes } = world.speaker(speakerConfig([config, other]))
      speaker.start()
      const bystander = await world.neighbour('10.0.0.3').establish({ routerId: Addr.parse('10.0.0.3') })
      const attacker = await world.neighbour().connect()
      for (let at = 0; at < bytes.length; at += chunk) attacker.send(bytes.subarray(at, at + chunk))
      if (isClosed) attacker.connection.end()
      await world.clock.settle()

      const expected = answerTo(bytes)
      const isOver = expected !== undefined || isClosed
      if (!isClosed) {
        const words = expected === undefined || expected === 'closed' ? undefined : notificationText(expected)
        assert.equal(attacker.notified, words)
      }
      assert.equal(attacker.isClosed, isOver)
      assert.equal(status('b').state === 'Active', isOver)
      assert.equal(status('c').state, 'Established')
      assert.deepEqual([bystander.notified, bystander.isClosed], [undefined, false])
      const told = routes.told.filter((each) => each.startsWith('up b') || each.startsWith('down b'))
      assert.ok(told.length <= 2 && told[0] !== 'down b', told.join())
      // whoever it was, the next one of good will gets a session
      await world.clock.advance(1_000)
      if (!isOver) speaker.reset('b', 'hard')
      await world.clock.advance(1_000)
      await world.neighbour().establish()
      assert.equal(status('b').state, 'Established')
      await world.clock.advance(400_000)
      assert.equal(status('b').state, 'Active')
      assert.equal(world.clock.timerCount > 20, false)
    }),
    { numRuns: 300 },
  )
})
