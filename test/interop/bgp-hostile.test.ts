// Neighbours that misbehave, and that others must not suffer from: byte by byte, by a peer that can do anything.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { Causeway } from './bgp/causeway.ts'
import { bestRoute, established, noRoute } from './bgp/daemons.ts'
import { eventually } from './bgp/eventually.ts'
import { type Host, Lan } from './bgp/lan.ts'
import {
  announcements,
  attribute,
  attributes,
  capability,
  keepalive,
  keepaliveType,
  message,
  open,
  openType,
  u16,
  update,
  updateType,
} from './bgp/raw-messages.ts'
import { RawHost, type RawPeer } from './bgp/raw-peer.ts'
import { type RouterNeighbour } from './bgp/router.ts'

const families = [4] as const
const holdTimeSeconds = 30
const pathOf = (host: Host, asn = 65_001) => [
  attributes.origin(0),
  attributes.asPath([asn]),
  attributes.nextHop(host.addr4),
]

const passive = (name: string, host: Host, asn: number, more: Partial<RouterNeighbour> = {}): RouterNeighbour => ({
  name,
  addr: host.addr4,
  asn,
  families,
  mode: 'passive',
  ...more,
})

/** Resident memory of a process in MiB. */
function memoryOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}

async function isUp(ours: Causeway, name: string): Promise<void> {
  await eventually(
    `session with ${name}`,
    async () => (await ours.neighbours()).find((each) => each.name === name)!.state,
    (state) => state === 'Established',
    { explain: () => ours.logTail() },
  )
}

/** Prefixes of 24 bits from 16.0.0.0 on. */
function manyPrefixes(count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const value = (16 << 16) + index
    return `${value >>> 16}.${(value >>> 8) & 0xff}.${value & 0xff}.0/24`
  })
}

/** Ours with a bad neighbour and a good one that watches, and is never left without a sign of life for its hold time. */
async function withGoodNeighbour(
  run: (set: {
    ours: Causeway
    bad: RawHost
    badHost: Host
    home: Host
    good: RawPeer
    /** A third one, with AS 65003: whoever needs it starts it. */
    thirdHost: Host
  }) => Promise<void>,
  more: Partial<RouterNeighbour> = {},
): Promise<void> {
  using lan = new Lan()
  const [home, badHost, goodHost, thirdHost] = [lan.host(), lan.host(), lan.host(), lan.host()]
  await using ours = new Causeway(home, {
    asn: 65_000,
    neighbours: [
      passive('bad', badHost, 65_001, more),
      passive('good', goodHost, 65_002, { holdTimeSeconds }),
      passive('third', thirdHost, 65_003),
    ],
  })
  await using bad = await RawHost.start(badHost)
  await using quiet = await RawHost.start(goodHost)
  await ours.start()
  const good = await quiet.session(home.addr4, { asn: 65_002, routerId: goodHost.addr4, holdTimeSeconds })
  await run({ ours, bad, badHost, home, good, thirdHost })
  assert.equal(good.isClosed, false, good.story())
  assert.ok(good.longestSilenceMs < holdTimeSeconds * 1000, `${good.longestSilenceMs} ms without a word`)
  const { peers } = await ours.report()
  assert.equal(peers.find(({ name }) => name === 'good')!.flaps, 0)
}

suite('hostile neighbours', { concurrency: 2 }, () => {
  test('nonsense before and after OPEN is told what is wrong with it, and costs the others nothing', async () => {
    await withGoodNeighbour(async ({ bad, badHost, home, good, ours }) => {
      const mine = { asn: 65_001, routerId: badHost.addr4 }
      const header = (marker: number, length: number, type: number): Buffer =>
        Buffer.concat([Buffer.alloc(16, marker), u16(length), Buffer.of(type)])
      const cases: readonly {
        readonly what: string
        readonly bytes: Buffer
        readonly answer: string
        readonly isLate?: boolean
      }[] = [
        { what: 'a marker that is none', bytes: header(0, 19, keepaliveType), answer: '1/1' },
        { what: 'a length below 19', bytes: header(0xff, 18, keepaliveType), answer: '1/2' },
        { what: 'a length above 4096', bytes: header(0xff, 4097, updateType), answer: '1/2' },
        { what: 'a type that is none', bytes: header(0xff, 19, 77), answer: '1/3' },
        { what: 'version 3', bytes: message(openType, Buffer.of(3, 0xfd, 0xe9, 0, 90, 10, 0, 0, 2, 0)), answer: '2/1' },
        { what: 'another AS', bytes: open({ ...mine, asn: 65_009 }), answer: '2/2' },
        { what: 'router id 0.0.0.0', bytes: open({ ...mine, routerId: '0.0.0.0' }), answer: '2/3' },
        { what: 'a hold time of 2 s', bytes: open({ ...mine, holdTimeSeconds: 2 }), answer: '2/6' },
        { what: 'an UPDATE in place of an OPEN', bytes: update({}), answer: '5/1' },
        { what: 'a second OPEN', bytes: open(mine), answer: '5/3', isLate: true },
        {
          what: 'attributes that are longer than the message',
          bytes: message(updateType, u16(0), u16(99)),
          answer: '3/1',
          isLate: true,
        },
        { what: 'a KEEPALIVE with a body', bytes: message(keepaliveType, Buffer.of(1)), answer: '1/2', isLate: true },
      ]
      for (const { what, bytes, answer, isLate } of cases) {
        // connections that come to nothing are taken only once a second
        await eventually(
          what,
          async () => {
            const peer = await bad.connect(home.addr4)
            if (isLate === true) await peer.establish(mine)
            peer.send(bytes)
            return peer.notified()
          },
          (told) => told === answer,
        )
      }
      await bad.session(home.addr4, mine)
      await isUp(ours, 'bad')
      assert.equal(good.rib.size, 0)
    })
  })

  test('faults in attributes cost the route, not the session (RFC 7606)', async () => {
    await withGoodNeighbour(async ({ ours, bad, badHost, home, good }) => {
      const peer = await bad.session(home.addr4, { asn: 65_001, routerId: badHost.addr4 })
      const path = pathOf(badHost)
      peer.send(update({ attributes: path, announced: ['10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16', '10.4.0.0/16'] }))
      await bestRoute(ours, '10.4.0.0/16')
      peer.send(
        // treat as withdraw: ORIGIN of another length, no AS_PATH, a community of three octets
        update({ attributes: [attribute(0x40, 1, Buffer.of(0, 0)), ...path.slice(1)], announced: ['10.1.0.0/16'] }),
        update({ attributes: [path[0]!, path[2]!], announced: ['10.2.0.0/16'] }),
        update({ attributes: [...path, attribute(0xc0, 8, Buffer.of(1, 2, 3))], announced: ['10.3.0.0/16'] }),
        // attribute discard: an AGGREGATOR of another length
        update({ attributes: [...path, attribute(0xc0, 7, Buffer.of(1))], announced: ['10.5.0.0/16'] }),
        // an unknown optional transitive attribute goes on with the partial bit
        update({ attributes: [...path, attribute(0xc0, 99, Buffer.of(1, 2, 3))], announced: ['10.6.0.0/16'] }),
      )
      await bestRoute(ours, '10.6.0.0/16')
      await bestRoute(ours, '10.5.0.0/16')
      for (const prefix of ['10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16']) await noRoute(ours, prefix)
      const told = await eventually('the unknown attribute passed on', () => good.rib.get('10.6.0.0/16'), Boolean)
      assert.ok(told!.types.includes(99))
      assert.equal(peer.isClosed, false, peer.story())
    })
  })

  test('both sides connect at once: one connection is left, that of the higher router id', async () => {
    using lan = new Lan()
    const [home, host] = [lan.host(), lan.host()]
    for (const [index, routerId] of ['1.1.1.1', '200.1.1.1'].entries()) {
      await using ours = new Causeway(home, {
        asn: 65_000,
        routerId: '100.1.1.1',
        neighbours: [{ name: 'raw', addr: host.addr4, asn: 65_001, families }],
      })
      await using raw = await RawHost.start(host)
      const theirs = Promise.withResolvers<RawPeer>()
      await raw.listen(host.addr4, (peer) => theirs.resolve(peer))
      await ours.start()
      const incoming = await theirs.promise
      const outgoing = await raw.connect(home.addr4)
      await incoming.first(openType)
      await outgoing.first(openType)
      const mine = open({ asn: 65_001, routerId })
      incoming.send(mine)
      outgoing.send(mine)
      // of us it is the one that they began when theirs is higher
      const [kept, given] = index === 0 ? [incoming, outgoing] : [outgoing, incoming]
      assert.equal(await given.notified(), '6/7', `router id ${routerId}`)
      kept.send(keepalive)
      await kept.first(keepaliveType)
      await established(ours)
      assert.equal(kept.isClosed, false)
    }
  })

  test('a flapping neighbour: the other one keeps its session and ends up with what is there', async () => {
    await withGoodNeighbour(async ({ bad, badHost, home, good }) => {
      for (let turn = 0; turn < 5; turn++) {
        const peer = await bad.session(home.addr4, { asn: 65_001, routerId: badHost.addr4 })
        peer.send(...announcements(manyPrefixes(2000), pathOf(badHost)))
        await eventually(
          'its routes',
          () => good.rib.size,
          (size) => size > 0,
        )
        peer.destroy()
        await peer.closed
        await eventually(
          'its routes gone',
          () => good.rib.size,
          (size) => size === 0,
        )
      }
    })
  })

  test('a neighbour that stops reading: others get everything, and it is told the rest when it goes on', async () => {
    await withGoodNeighbour(async ({ ours, bad, badHost, home, good, thirdHost }) => {
      const peer = await bad.session(home.addr4, { asn: 65_001, routerId: badHost.addr4 })
      peer.pause()
      await using third = await RawHost.start(thirdHost)
      const sender = await third.session(home.addr4, { asn: 65_003, routerId: thirdHost.addr4 })
      const prefixes = manyPrefixes(50_000)
      const last = prefixes.at(-1)!
      const tell = async (turn: number): Promise<void> => {
        const path = [attributes.origin(0), attributes.asPath([65_003, turn]), attributes.nextHop(thirdHost.addr4)]
        sender.send(...announcements(prefixes, path))
        await eventually(
          `round ${turn} at the good one`,
          () => good.rib.get(last)?.asPath,
          (asPath) => asPath === `65000 65003 ${turn}`,
          { timeoutMs: 180_000 },
        )
      }
      await tell(1)
      const before = memoryOf(ours.pid)
      // what changes meanwhile is not heaped up for it
      for (let turn = 2; turn <= 5; turn++) await tell(turn)
      const grownMiB = memoryOf(ours.pid) - before
      assert.ok(grownMiB < 40, `it grew by ${grownMiB} MiB`)
      peer.resume()
      await eventually(
        'the last state at the slow one',
        () => peer.rib.get(last)?.asPath,
        (asPath) => asPath === '65000 65003 5',
      )
      await eventually(
        'all of it',
        () => [...peer.rib.values()].filter(({ asPath }) => asPath === '65000 65003 5').length,
        (count) => count === prefixes.length,
      )
    })
  })

  test('a million prefixes where a thousand are allowed: the session ends at once', async () => {
    await withGoodNeighbour(
      async ({ ours, bad: raw, badHost, home }) => {
        const peer = await raw.session(home.addr4, { asn: 65_001, routerId: badHost.addr4 })
        peer.send(...announcements(manyPrefixes(1_000_000), pathOf(badHost)))
        await peer.closed
        const [status] = await eventually(
          'nothing left of it',
          () => ours.neighbours(),
          ([bad]) => bad!.received === 0,
        )
        assert.equal(status!.state, 'Idle')
        assert.match(status!.lastError, /prefixes where at most 1000 are allowed/)
      },
      { maxPrefixes: 1000 },
    )
  })

  test('a million prefixes where nobody set a limit: others keep their sessions, and it all goes with the session', async () => {
    await withGoodNeighbour(async ({ ours, bad, badHost, home, good }) => {
      const peer = await bad.session(home.addr4, { asn: 65_001, routerId: badHost.addr4, holdTimeSeconds: 9 })
      peer.send(...announcements(manyPrefixes(1_000_000), pathOf(badHost)))
      await eventually(
        'all of it at the good one',
        () => good.rib.size,
        (size) => size === 1_000_000,
        { timeoutMs: 400_000 },
      )
      assert.equal(peer.isClosed, false, peer.story())
      assert.ok(memoryOf(ours.pid) < 1500, `${memoryOf(ours.pid)} MiB`)
      peer.destroy()
      await eventually(
        'all of it gone',
        () => good.rib.size,
        (size) => size === 0,
        { timeoutMs: 400_000 },
      )
    })
  })

  test('connections that say nothing, many at a time, keep nobody out', async () => {
    await withGoodNeighbour(async ({ bad, badHost, home, ours }) => {
      const tries = await Promise.allSettled(Array.from({ length: 50 }, () => bad.connect(home.addr4)))
      const silent = tries.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
      await eventually(
        'all but the first refused',
        () => silent.filter(({ isClosed }) => !isClosed).length,
        (left) => left <= 1,
      )
      for (const peer of silent) peer.destroy()
      await bad.session(home.addr4, { asn: 65_001, routerId: badHost.addr4 })
      await isUp(ours, 'bad')
    })
  })

  test('unknown capabilities in any number are no reason to refuse', async () => {
    await withGoodNeighbour(async ({ bad, badHost, home, ours }) => {
      const more = Array.from({ length: 30 }, (_, index) => capability(128 + index, Buffer.from([index])))
      await bad.session(home.addr4, { asn: 65_001, routerId: badHost.addr4, more })
      await isUp(ours, 'bad')
    })
  })
})
