import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { type BfdPacket, type BfdState, decodeBfdPacket, encodeBfdPacket } from '#/wire/bfd/packet.ts'
import { ManualClock } from '../testing/manual-clock.ts'
import { BfdService, type BfdWatch } from './service.ts'
import { type BfdDatagram, type BfdPath, type BfdReceiver, type BfdSender, type BfdTransport } from './transport.ts'

type Sent = { readonly atMs: number; readonly packet: BfdPacket }

/** One side's UDP in memory; what it sends arrives in a turn of its own. */
class MemoryUdp implements BfdTransport {
  readonly addr: Addr
  readonly device: string | undefined
  readonly sent: Sent[] = []
  /** Cut off: what it sends does not arrive. */
  isCut = false
  /** Its event loop is late: what arrives is not told before somebody asks. */
  isLate = false
  isTaken = false
  openSenders = 0
  readonly #deps: { readonly clock: ManualClock; readonly hosts: MemoryUdp[] }
  readonly #waiting: BfdDatagram[] = []
  #onDatagram: ((datagram: BfdDatagram) => void) | undefined

  constructor(addr: string, device: string | undefined, deps: { clock: ManualClock; hosts: MemoryUdp[] }) {
    this.addr = Addr.parse(addr)
    this.device = device
    this.#deps = deps
    deps.hosts.push(this)
  }

  get isListening(): boolean {
    return this.#onDatagram !== undefined
  }

  listen(onDatagram: (datagram: BfdDatagram) => void): BfdReceiver {
    if (this.isTaken) throw new Error('EADDRINUSE: address already in use')
    this.#onDatagram = onDatagram
    return {
      drain: () => this.drain(),
      [Symbol.dispose]: () => {
        this.#onDatagram = undefined
      },
    }
  }

  drain(): void {
    for (const datagram of this.#waiting.splice(0)) this.#onDatagram?.(datagram)
  }

  arrive(datagram: BfdDatagram): void {
    this.#waiting.push(datagram)
    if (!this.isLate) this.drain()
  }

  sender(path: BfdPath): BfdSender {
    this.openSenders++
    return {
      send: (bytes) => {
        const packet = decodeBfdPacket(bytes)
        assert.ok(typeof packet !== 'string', 'it sends what must be discarded')
        this.sent.push({ atMs: this.#deps.clock.nowMs(), packet })
        this.#deps.clock.defer(() => {
          if (this.isCut) return
          const datagram = { bytes, from: this.addr, ...(this.device !== undefined && { device: this.device }) }
          for (const host of this.#deps.hosts)
            if (host !== this && host.addr.equals(path.addr) && host.device === this.device) host.arrive(datagram)
        })
      },
      [Symbol.dispose]: () => {
        this.openSenders--
      },
    }
  }
}

type Side = {
  readonly udp: MemoryUdp
  readonly service: BfdService
  readonly states: BfdState[]
  watch(): BfdWatch
  /** Another process in its place. */
  restarted(): BfdService
}

/** Numbers that are the same each time. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647
}

function twoSides(settings = { intervalMs: 100, detectMultiplier: 3 }, device?: string) {
  const clock = new ManualClock()
  const hosts: MemoryUdp[] = []
  const [addrA, addrB] = device === undefined ? ['10.0.0.1', '10.0.0.2'] : ['fe80::1', 'fe80::2']
  const side = (own: string, other: string, seed: number): Side => {
    const udp = new MemoryUdp(own, device, { clock, hosts })
    const deps = { transport: udp, clock, log: silent }
    let service = new BfdService({ ...deps, random: randomFrom(seed) })
    const states: BfdState[] = []
    const path = { addr: Addr.parse(other), ...(device !== undefined && { device }) }
    return {
      udp,
      service,
      states,
      watch: () => service.watch(path, settings, (state) => states.push(state)),
      restarted: () => (service = new BfdService({ ...deps, random: randomFrom(seed + 1), isRestarting: true })),
    }
  }
  return { clock, hosts, a: side(addrA, addrB, 11), b: side(addrB, addrA, 22) }
}

async function bothUp(sides: ReturnType<typeof twoSides>): Promise<{ watchA: BfdWatch; watchB: BfdWatch }> {
  const { clock, a, b } = sides
  const watches = { watchA: a.watch(), watchB: b.watch() }
  await clock.advance(2_000)
  assert.deepEqual([watches.watchA.state, watches.watchB.state], ['Up', 'Up'])
  return watches
}

test('two sides come up within two seconds and stay up', async () => {
  for (const device of [undefined, 'eth0']) {
    const sides = twoSides(undefined, device)
    await bothUp(sides)
    await sides.clock.advance(60_000)
    for (const { states } of [sides.a, sides.b])
      assert.deepEqual(
        states.filter((each) => each !== 'Init'),
        ['Up'],
      )
  }
})

test('packets are sent at the interval, early by at most a quarter, by a tenth at least with multiplier 1', async () => {
  for (const [detectMultiplier, mostMs] of [
    [3, 100],
    [1, 90],
  ] as const) {
    const sides = twoSides({ intervalMs: 100, detectMultiplier })
    await bothUp(sides)
    const { sent } = sides.a.udp
    const before = sent.length
    await sides.clock.advance(30_000)
    const times = sent.slice(before).map(({ atMs }) => atMs)
    const gaps = times.slice(1).map((atMs, index) => atMs - times[index]!)
    assert.ok(gaps.length > 300)
    assert.ok(Math.min(...gaps) >= 74.9 && Math.min(...gaps) < 80, `${Math.min(...gaps)}`)
    assert.ok(Math.max(...gaps) <= mostMs + 0.1 && Math.max(...gaps) > mostMs - 5, `${Math.max(...gaps)}`)
  }
})

test('a cut is noticed within the detection time by the side that hears nothing, and told to the other', async () => {
  const sides = twoSides()
  const { watchA, watchB } = await bothUp(sides)
  sides.b.udp.isCut = true
  await sides.clock.advance(200)
  assert.equal(watchA.state, 'Up')
  await sides.clock.advance(101)
  assert.deepEqual([watchA.state, watchB.state], ['Down', 'Down'])
  assert.equal(sides.a.udp.sent.at(-1)!.packet.diagnostic, 1)
  assert.equal(sides.b.udp.sent.at(-1)!.packet.diagnostic, 3)
  sides.b.udp.isCut = false
  await sides.clock.advance(3_000)
  assert.deepEqual([watchA.state, watchB.state], ['Up', 'Up'])
  assert.deepEqual(
    sides.a.states.filter((each) => each !== 'Init'),
    ['Up', 'Down', 'Up'],
  )
})

test('packets that wait to be read are no silence', async () => {
  const sides = twoSides()
  const { watchA } = await bothUp(sides)
  sides.a.udp.isLate = true
  await sides.clock.advance(10_000)
  assert.deepEqual([watchA.state, sides.a.states.includes('Down')], ['Up', false])
})

test('a restart is no failure when it is announced: the session is taken up as it was', async () => {
  for (const device of [undefined, 'eth0']) {
    const sides = twoSides(undefined, device)
    const { clock, a, b } = sides
    const { watchA, watchB } = await bothUp(sides)
    a.service.rest(60_000)
    watchA[Symbol.dispose]()
    assert.deepEqual([a.udp.openSenders, a.udp.isListening], [0, false])
    await clock.advance(59_000)
    const silentFrom = a.udp.sent.length
    a.restarted()
    const again = a.watch()
    await clock.advance(1_000)
    assert.deepEqual([again.state, watchB.state, b.states.includes('Down')], ['Up', 'Up', false])
    assert.equal(a.udp.sent[silentFrom]!.packet.state, 'Up', 'a packet that says Down would end it')
    // and it is as quick as before
    a.udp.isCut = true
    await clock.advance(301)
    assert.equal(watchB.state, 'Down')
    a.udp.isCut = false
    await clock.advance(3_000)
    assert.deepEqual([again.state, watchB.state], ['Up', 'Up'])
  }
})

test('whoever does not come back in the time that was announced is gone', async () => {
  const sides = twoSides()
  const { watchB } = await bothUp(sides)
  sides.a.service.rest(60_000)
  await sides.clock.advance(59_000)
  assert.equal(watchB.state, 'Up')
  await sides.clock.advance(2_000)
  assert.equal(watchB.state, 'Down')
})

test('after a restart sessions that are over begin anew, those of silent neighbours too', async () => {
  const { clock, a, b } = twoSides()
  a.restarted()
  const watchA = a.watch()
  await clock.advance(10_000)
  assert.equal(watchA.state, 'Down')
  const watchB = b.watch()
  await clock.advance(3_000)
  assert.deepEqual([watchA.state, watchB.state], ['Up', 'Up'])
  // of a session that is not up nothing is announced, and one that was not announced is lost
  watchB[Symbol.dispose]()
  a.service.rest(60_000)
  a.restarted()
  const again = a.watch()
  b.watch()
  await clock.advance(6_000)
  assert.equal(again.state, 'Up')
})

test('who stops watching says so, and that is no failure', async () => {
  const sides = twoSides()
  const { watchA, watchB } = await bothUp(sides)
  watchA[Symbol.dispose]()
  watchA[Symbol.dispose]()
  await sides.clock.advance(10_000)
  assert.equal(watchB.state, 'AdminDown')
  assert.deepEqual(sides.b.states.slice(-2), ['Up', 'AdminDown'])
  // one that is lost on the way must not make a failure of it
  const farewells = sides.a.udp.sent.filter(({ packet }) => packet.state === 'AdminDown')
  assert.ok(farewells.length >= 3 && farewells.length <= 5, `${farewells.length}`)
  assert.deepEqual([sides.a.udp.openSenders, sides.a.udp.isListening], [0, false])

  sides.a.watch()
  await sides.clock.advance(3_000)
  assert.equal(watchB.state, 'Up')
  assert.deepEqual(sides.b.states.slice(-2), ['Init', 'Up'])
})

test('a session that is watched again before it has ended goes on', async () => {
  const sides = twoSides()
  const { watchA } = await bothUp(sides)
  const { myDiscriminator } = sides.a.udp.sent[0]!.packet
  watchA[Symbol.dispose]()
  await sides.clock.advance(100)
  const again = sides.a.watch()
  assert.equal(again.state, 'Down')
  await sides.clock.advance(5_000)
  assert.equal(again.state, 'Up')
  assert.ok(sides.a.udp.sent.every(({ packet }) => packet.myDiscriminator === myDiscriminator))
  assert.equal(sides.a.udp.openSenders, 1)
})

test('watchers of a neighbour share a session, at the quickest detection that any wants', async () => {
  const sides = twoSides()
  const { watchB } = await bothUp(sides)
  const told: BfdState[] = []
  const addr = sides.a.udp.addr
  const second = sides.b.service.watch({ addr }, { intervalMs: 50, detectMultiplier: 3 }, (state) => told.push(state))
  assert.deepEqual([second.state, told], ['Up', []])
  await sides.clock.advance(1_000)
  assert.deepEqual(told, ['Up'])
  assert.equal(sides.b.udp.sent.at(-1)!.packet.requiredMinRxUs, 50_000)
  assert.equal(new Set(sides.b.udp.sent.map(({ packet }) => packet.myDiscriminator)).size, 1)
  second[Symbol.dispose]()
  await sides.clock.advance(1_000)
  assert.equal(sides.b.udp.sent.at(-1)!.packet.requiredMinRxUs, 100_000)
  assert.deepEqual([watchB.state, told], ['Up', ['Up']])
})

test('from another local address it is another session', async () => {
  const sides = twoSides()
  const { watchA } = await bothUp(sides)
  watchA[Symbol.dispose]()
  const path = { addr: sides.b.udp.addr, localAddr: sides.a.udp.addr }
  using moved = sides.a.service.watch(path, { intervalMs: 100, detectMultiplier: 3 }, () => {})
  assert.equal(sides.a.udp.openSenders, 1)
  await sides.clock.advance(5_000)
  assert.equal(moved.state, 'Up')
  assert.equal(new Set(sides.a.udp.sent.map(({ packet }) => packet.myDiscriminator)).size, 2)
})

test('a watcher that is told nothing more after it has left may leave while it is told', async () => {
  const sides = twoSides()
  let calls = 0
  const watch = sides.a.service.watch({ addr: sides.b.udp.addr }, { intervalMs: 100, detectMultiplier: 3 }, () => {
    calls++
    watch[Symbol.dispose]()
  })
  sides.b.watch()
  await sides.clock.advance(5_000)
  assert.equal(calls, 1)
})

test('what is not of the neighbour is not heard', async () => {
  const sides = twoSides(undefined, 'eth0')
  const { watchA } = await bothUp(sides)
  const { a, b, clock } = sides
  const down: BfdPacket = { ...b.udp.sent.at(-1)!.packet, state: 'Down' }
  const { addr: from } = b.udp
  const bytes = encodeBfdPacket(down)
  for (const datagram of [
    { bytes, from: Addr.parse('fe80::3'), device: 'eth0' },
    { bytes: encodeBfdPacket({ ...down, yourDiscriminator: 0 }), from, device: 'eth1' },
    { bytes: encodeBfdPacket({ ...down, yourDiscriminator: 0 }), from },
    { bytes: encodeBfdPacket({ ...down, yourDiscriminator: 99 }), from, device: 'eth0' },
    { bytes: bytes.subarray(0, 23), from, device: 'eth0' },
  ])
    a.udp.arrive(datagram)
  await clock.advance(1)
  assert.equal(watchA.state, 'Up')
  a.udp.arrive({ bytes, from, device: 'eth0' })
  assert.equal(watchA.state, 'Down')
})

test('intervals of hours are waited for', async () => {
  const sides = twoSides()
  const { watchA } = await bothUp(sides)
  const { a, b, clock } = sides
  const last = b.udp.sent.at(-1)!.packet
  b.udp.isCut = true
  b.service[Symbol.dispose]()
  const slow = { desiredMinTxUs: 0xffff_ffff, requiredMinRxUs: 0xffff_ffff, detectMultiplier: 255 }
  a.udp.arrive({ bytes: encodeBfdPacket({ ...last, ...slow }), from: b.udp.addr })
  const before = a.udp.sent.length
  await clock.advance(3_000_000)
  assert.equal(watchA.state, 'Up')
  assert.equal(a.udp.sent.length, before)
  await clock.advance(255 * 4_294_968)
  assert.equal(watchA.state, 'Down')
})

test('a port that another program has is tried again', async () => {
  const sides = twoSides()
  sides.a.udp.isTaken = true
  const watch = sides.a.watch()
  sides.b.watch()
  await sides.clock.advance(25_000)
  assert.equal(watch.state, 'Down')
  sides.a.udp.isTaken = false
  await sides.clock.advance(12_000)
  assert.equal(watch.state, 'Up')
})

test('the end of the service is told to all, and leaves nothing behind', async () => {
  const sides = twoSides()
  const { watchB } = await bothUp(sides)
  sides.a.service[Symbol.dispose]()
  await sides.clock.advance(10)
  assert.equal(watchB.state, 'AdminDown')
  assert.deepEqual([sides.a.udp.openSenders, sides.a.udp.isListening], [0, false])
  sides.b.service[Symbol.dispose]()
  await sides.clock.settle()
  assert.equal(sides.clock.timerCount, 0)
})
