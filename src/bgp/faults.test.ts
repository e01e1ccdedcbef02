// A fault of ours while one peer is handled: it ends the session with that peer, and no other notices.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr } from '#/lib/addr.ts'
import { type Logger, silent } from '#/lib/log.ts'
import { encodeRefresh } from '#/wire/bgp/index.ts'
import { type Connection, type Neighbour, type Transport } from './contract.ts'
import { type BfdService, type BfdState } from './session/deps.ts'
import { FakeRoutes } from './testing/fake-routes.ts'
import { restartOf, type ScriptedPeer } from './testing/scripted-peer.ts'
import { peerConfig, restart, speakerConfig, World } from './testing/world.ts'

const bad = Addr.parse('10.0.0.2')
const openOfBad = { capabilities: { gracefulRestart: restartOf([4]) } }

/** Throws when it is time to, wherever the speaker asks something for the peer b. */
class Faults {
  /** Which of the next calls fails; Infinity: none. */
  due = Infinity
  /** The only calls that count; undefined: all. */
  only: string | undefined
  thrown = 0

  pass(what: string): void {
    if ((this.only !== undefined && this.only !== what) || --this.due > 0) return
    this.due = Infinity
    this.thrown++
    throw new Error(`injected in ${what}`)
  }

  /** The object with these of its methods failing in time. */
  around<T extends object>(prefix: string, target: T, methods: readonly (keyof T & string)[]): T {
    const pass = (what: string): void => this.pass(what)
    return new Proxy(target, {
      get(of, name) {
        const value = Reflect.get(of, name, of) as unknown
        if (typeof value !== 'function') return value
        const call = value as (...args: unknown[]) => unknown
        const isCounted = methods.some((each) => each === name)
        return (...args: unknown[]): unknown => {
          if (isCounted) pass(`${prefix}.${String(name)}`)
          return call.apply(of, args)
        }
      },
      set: (of, name, value) => Reflect.set(of, name, value, of),
    })
  }
}

class FaultyRoutes extends FakeRoutes {
  readonly #faults: Faults

  constructor(deps: ConstructorParameters<typeof FakeRoutes>[0], faults: Faults) {
    super(deps)
    this.#faults = faults
  }

  #pass(what: string, name: string): void {
    if (name === 'b') this.#faults.pass(`routes.${what}`)
  }

  override up(...[neighbour, outlet]: Parameters<FakeRoutes['up']>): { readonly onDrain: () => void } {
    this.#pass('up', neighbour.config.name)
    const { onDrain } = super.up(neighbour, outlet)
    return {
      onDrain: () => {
        this.#pass('onDrain', neighbour.config.name)
        onDrain()
      },
    }
  }

  override down(...[neighbour, end]: Parameters<FakeRoutes['down']>): void {
    this.#pass('down', neighbour.config.name)
    super.down(neighbour, end)
  }

  override update(...[neighbour, update]: Parameters<FakeRoutes['update']>): void {
    this.#pass('update', neighbour.config.name)
    super.update(neighbour, update)
  }

  override refresh(...[neighbour, refresh]: Parameters<FakeRoutes['refresh']>): void {
    this.#pass('refresh', neighbour.config.name)
    super.refresh(neighbour, refresh)
  }

  override sweepStale(...args: Parameters<FakeRoutes['sweepStale']>): void {
    this.#pass('sweepStale', args[0])
    super.sweepStale(...args)
  }

  override keepStale(...args: Parameters<FakeRoutes['keepStale']>): void {
    this.#pass('keepStale', args[0])
    super.keepStale(...args)
  }

  override counts(peer: string): ReturnType<FakeRoutes['counts']> {
    // the test itself asks for a status
    if (new Error('').stack?.includes('#checkLimit') === true) this.#pass('counts', peer)
    return super.counts(peer)
  }
}

function faultyTransport(transport: Transport, faults: Faults): Transport {
  const around = (connection: Connection): Connection =>
    connection.remoteAddr.equals(bad)
      ? faults.around('connection', connection, ['write', 'end', 'pause', 'resume', 'setTtl', 'destroy'])
      : connection
  return {
    connect: async (options, signal) => around(await transport.connect(options, signal)),
    listen: (port, onConnection) => transport.listen(port, (connection) => onConnection(around(connection))),
  }
}

async function scene() {
  const world = new World()
  const faults = new Faults()
  const logged: [string, Record<string, unknown>][] = []
  const logger = (fields: Record<string, unknown>): Logger => ({
    ...silent,
    error: (message, more) => logged.push([message, { ...fields, ...more }]),
    with: (more) => logger({ ...fields, ...more }),
  })
  const paths = new Map<string, (state: BfdState) => void>()
  const bfd: BfdService = {
    rest() {},
    watch: ({ addr }, _settings, onState) => {
      if (addr.equals(bad)) faults.pass('bfd.watch')
      paths.set(String(addr), onState)
      return {
        state: 'Up',
        [Symbol.dispose]() {
          if (addr.equals(bad)) faults.pass('bfd.dispose')
        },
      }
    },
  }
  const rib = new FaultyRoutes({ defer: world.clock.defer }, faults)
  const shared = {
    mode: 'passive',
    bfd: { intervalMs: 300, detectMultiplier: 3 },
    maxPrefixes: { count: 1000, warningPercent: 75 },
  } as const
  const { speaker, status } = world.speaker(
    speakerConfig([
      peerConfig({ ...shared, gracefulRestart: restart }),
      peerConfig({ ...shared, name: 'c', addr: Addr.parse('10.0.0.3'), remoteAsn: 65003 }),
    ]),
    {
      deps: {
        rib,
        bfd,
        log: logger({}),
        transport: faultyTransport(world.network.host(Addr.parse('10.0.0.1')), faults),
      },
    },
  )
  speaker.start()
  const good = await world.neighbour('10.0.0.3').establish({ asn: 65003, routerId: Addr.parse('10.0.0.3') })
  good.announce(5)
  await world.clock.settle()
  const host = world.neighbour()
  const b = await host.establish(openOfBad)
  /** As long as b sends keepalives too, everybody's hold time is kept. */
  const advance = async (seconds: number, peers: readonly ScriptedPeer[] = []): Promise<void> => {
    for (let passed = 0; passed < seconds; passed += 10) {
      for (const peer of [good, ...peers]) peer.keepalive()
      await world.clock.advance(10_000)
    }
  }
  const goodIsUntouched = (): void => {
    assert.deepEqual([status('c').state, status('c').flaps, status('c').received], ['Established', 0, 5])
    assert.deepEqual([good.notified, good.isClosed], [undefined, false])
    assert.ok(rib.neighbours.has('c'))
  }
  return { world, faults, logged, paths, rib, speaker, status, good, host, b, advance, goodIsUntouched }
}

type Scene = Awaited<ReturnType<typeof scene>>

/** Where something of ours can fail, and what makes it happen. */
const injections: Readonly<Record<string, (scene: Scene) => void | Promise<void>>> = {
  'routes.update': ({ b }) => b.announce(3),
  'routes.refresh': ({ b }) => b.send(encodeRefresh({ family: 4, kind: 'request' })),
  'routes.counts': ({ b }) => b.announce(3),
  'connection.write': ({ advance, b }) => advance(30, [b]),
  'routes.onDrain': async ({ rib, world, b }) => {
    b.connection.pause()
    rib.neighbours.get('b')!.outlet.write(new Uint8Array(500_000))
    await world.clock.settle()
    b.connection.resume()
  },
  bytes: ({ world }) => {
    const ours = world.network.open.find(({ localAddr }) => localAddr.equals(bad))!
    // no reader of messages can read it
    ours.other.handlers.onData(undefined as never)
  },
  'the RIB’s work': ({ rib, faults }) => {
    faults.thrown++
    rib.neighbours.get('b')!.outlet.fail(new Error('injected in the RIB'))
  },
}

for (const [what, inject] of Object.entries(injections)) {
  test(`a fault in ${what}: this session ends with a Cease, is told, and is tried again after a pause`, async () => {
    const set = await scene()
    const { world, faults, logged, status, rib, b, host, advance, goodIsUntouched } = set
    faults.only = what
    faults.due = 1
    await inject(set)
    await world.clock.settle()
    goodIsUntouched()
    assert.equal(status('b').state, 'Idle')
    assert.match(status('b').lastError!, /^a fault in this speaker ended the session: /)
    assert.ok(b.isClosed)
    // one could not be written, and of the other nothing can be read any more
    if (what !== 'connection.write' && what !== 'routes.onDrain') assert.match(b.notified!, /^Cease/)
    assert.equal(rib.told.at(-1), 'down b gone')
    const [message, fields] = logged[0]!
    assert.deepEqual([message, fields['peer']], ['a fault in this speaker ended the session with a peer', 'b'])
    assert.match(String(fields['error']), /injected|undefined/)
    // not at once, but by itself
    const early = await host.connect()
    await world.clock.settle()
    assert.ok(early.isClosed, 'it is refused meanwhile')
    await advance(20)
    await host.establish(openOfBad)
    assert.equal(status('b').state, 'Established')
    assert.match(status('b').lastError!, /^a fault in this speaker ended the session: /)
    goodIsUntouched()
  })
}

test('a peer whose bytes always fail is tried more and more seldom, and then as before', async () => {
  const { faults, status, host, advance, b, goodIsUntouched, world } = await scene()
  faults.only = 'routes.update'
  const pauses: number[] = []
  let peer = b
  for (let fault = 0; fault < 6; fault++) {
    faults.due = 1
    peer.announce(1)
    await world.clock.settle()
    assert.equal(status('b').state, 'Idle')
    for (let seconds = 10; ; seconds += 10) {
      await advance(10)
      if (status('b').state === 'Idle') continue
      pauses.push(seconds)
      break
    }
    peer = await host.establish(openOfBad)
    assert.equal(status('b').state, 'Established')
  }
  assert.deepEqual(pauses, [10, 20, 40, 80, 120, 120])
  await advance(700, [peer])
  faults.due = 1
  peer.announce(1)
  await advance(10)
  assert.equal(status('b').state, 'Active')
  goodIsUntouched()
})

test('a fault while a session ends: nothing of it is left', async () => {
  const { world, faults, status, speaker, b, advance, host, goodIsUntouched } = await scene()
  for (const what of ['routes.down', 'connection.end', 'bfd.dispose']) {
    faults.only = what
    faults.due = 1
    speaker.reset('b', 'hard')
    await world.clock.settle()
    goodIsUntouched()
    assert.match(status('b').lastError!, new RegExp(`injected in ${what}`))
    await advance(200)
    assert.equal(status('b').state, 'Active')
    await host.establish(openOfBad)
    assert.equal(status('b').state, 'Established', what)
  }
  assert.ok(b.isClosed)
})

test('a peer that is removed while it fails does not come back, and is gone', async () => {
  const { world, faults, speaker, b, advance, goodIsUntouched, status } = await scene()
  faults.only = 'routes.down'
  faults.due = 1
  const c = peerConfig({ name: 'c', addr: Addr.parse('10.0.0.3'), remoteAsn: 65003, mode: 'passive' })
  speaker.configure(speakerConfig([{ ...c, bfd: { intervalMs: 300, detectMultiplier: 3 } }]))
  await world.clock.settle()
  assert.equal(faults.thrown, 1)
  assert.ok(b.isClosed)
  await advance(300)
  goodIsUntouched()
  assert.throws(() => status('b'), /no peer b/)
  const stopped = speaker.stop('shutdown')
  await world.clock.settle()
  await stopped
})

test('whatever fails, at whatever time: all other sessions stay, and the peer gets a session again', async () => {
  let most = 0
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 45 }), fc.boolean(), async (due, isTwice) => {
      const { world, faults, paths, status, host, b, advance, goodIsUntouched, rib } = await scene()
      faults.due = due
      const told = (): Neighbour | undefined => rib.neighbours.get('b')?.neighbour
      b.announce(3)
      b.endOfRib()
      await world.clock.settle()
      b.send(encodeRefresh({ family: 4, kind: 'request' }))
      await advance(60, [b])
      // it restarts, and is back, and then does not come back
      b.connection.destroy()
      await world.clock.settle()
      const again = await host.establish(openOfBad)
      again.announce(3)
      again.endOfRib()
      if (isTwice && faults.thrown > 0) faults.due = 2
      await advance(30, [again])
      paths.get('10.0.0.2')?.('Up')
      paths.get('10.0.0.2')?.('Down')
      await advance(30, [again])
      const third = await host.establish(openOfBad)
      third.connection.end()
      await advance(700)
      most = Math.max(most, faults.thrown)
      faults.due = Infinity
      goodIsUntouched()
      const last = await host.establish(openOfBad)
      last.announce(2)
      await advance(10, [last])
      assert.equal(status('b').state, 'Established')
      assert.ok(told() !== undefined)
      goodIsUntouched()
    }),
    { numRuns: 30 },
  )
  assert.ok(most >= 1)
})
