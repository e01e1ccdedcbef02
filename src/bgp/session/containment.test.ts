// A fault in this program, met on behalf of one peer: the others keep their sessions and their routes.
import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { Addr } from '#/lib/addr.ts'
import { encodeRefresh, encodeEndOfRib, MessageReader } from '#/wire/bgp/index.ts'
import { type SpeakerDeps } from '../speaker.ts'
import { FakeRoutes } from '../testing/fake-routes.ts'
import { MemoryConnection } from '../testing/memory-network.ts'
import { type ScriptedPeer } from '../testing/scripted-peer.ts'
import { peerConfig, speakerConfig, type TestSpeaker, World } from '../testing/world.ts'
import { type BfdState } from './deps.ts'

type Scene = TestSpeaker & {
  readonly world: World
  readonly bad: ScriptedPeer
  readonly good: ScriptedPeer
  /** Tells a state of BFD to the session with the bad one. */
  readonly bfd: (state: BfdState) => void
}

function throws(): never {
  throw new TypeError('cannot read what is not there')
}

async function scene(): Promise<Scene> {
  const world = new World()
  const watchers = new Map<string, (state: BfdState) => void>()
  const bfd: SpeakerDeps['bfd'] = {
    rest() {},
    watch(peer, _settings, onState) {
      watchers.set(String(peer.addr), onState)
      return { state: 'Down', [Symbol.dispose]() {} }
    },
  }
  const settings = { mode: 'passive', bfd: { intervalMs: 300, detectMultiplier: 3 } } as const
  const peers = ['bad', 'good'].map((name, index) =>
    peerConfig({ name, addr: Addr.parse(`10.0.0.${index + 2}`), ...settings }),
  )
  const started = world.speaker(speakerConfig(peers), { deps: { bfd } })
  started.speaker.start()
  await world.clock.settle()
  const bad = await world.neighbour('10.0.0.2').establish()
  const good = await world.neighbour('10.0.0.3').establish()
  good.announce(3)
  await world.clock.settle()
  return { ...started, world, bad, good, bfd: (state) => watchers.get('10.0.0.2')!(state) }
}

/** The next call of a method throws for the peer named bad; others go on as they are. */
function failing(routes: FakeRoutes, method: 'update' | 'refresh' | 'down' | 'counts'): void {
  const original = routes[method].bind(routes) as (...args: unknown[]) => unknown
  const isBad = (arg: unknown): boolean =>
    arg === 'bad' || (arg as { config?: { name: string } }).config?.name === 'bad'
  let isDue = true
  Object.assign(routes, {
    [method]: (...args: unknown[]) => {
      if (!isDue || !isBad(args[0])) return original(...args)
      isDue = false
      return throws()
    },
  })
}

/** What the speaker has accepted of the bad peer: the end of the connection that is ours. */
function failOnce(method: 'write' | 'end', addr = '10.0.0.2'): void {
  const original = MemoryConnection.prototype[method] as (this: MemoryConnection, ...args: unknown[]) => unknown
  const mocked = mock.method(MemoryConnection.prototype, method, function (this: MemoryConnection, ...args: unknown[]) {
    if (String(this.remoteAddr) !== addr) return original.apply(this, args)
    mocked.mock.restore()
    return throws()
  })
}

const faults: Readonly<Record<string, (scene: Scene) => void | Promise<void>>> = {
  'the decoder': ({ bad }) => {
    const reading = mock.method(MessageReader.prototype, 'next', () => {
      reading.mock.restore()
      return throws()
    })
    bad.keepalive()
  },
  'an UPDATE in the RIB': ({ bad, routes }) => {
    failing(routes, 'update')
    bad.announce(1)
  },
  'a refresh in the RIB': ({ bad, routes }) => {
    failing(routes, 'refresh')
    bad.send(encodeRefresh({ family: 4, kind: 'request' }))
  },
  'the write of the RIB': ({ routes }) => {
    failOnce('write')
    routes.neighbours.get('bad')!.outlet.write(encodeEndOfRib(4))
  },
  'the keepalive timer': async ({ world, bad, good }) => {
    failOnce('write')
    for (let turn = 0; turn < 3; turn++) {
      await world.clock.advance(10_000)
      bad.keepalive()
      good.keepalive()
    }
  },
  'a BFD state': ({ bfd, routes }) => {
    failing(routes, 'down')
    bfd('Up')
    bfd('Down')
  },
  'the end of the connection': ({ bad, routes }) => {
    failing(routes, 'down')
    bad.connection.end()
  },
}

for (const [what, fail] of Object.entries(faults))
  test(`a fault ends one session: ${what}`, async () => {
    const set = await scene()
    const { world, routes, status, bad, good } = set
    await fail(set)
    await world.clock.settle()
    assert.notEqual(status('bad').state, 'Established')
    assert.match(
      status('bad').lastError ?? '',
      /a fault in this speaker ended the session: .*cannot read what is not there/,
    )
    assert.equal(bad.isClosed, true)
    assert.equal(status('good').state, 'Established')
    assert.deepEqual([status('good').received, status('good').flaps, good.isClosed], [3, 0, false])
    assert.ok(routes.neighbours.has('good'))
    // not at once: the same bytes would bring the same fault
    const again = await world.neighbour('10.0.0.2').establish()
    assert.equal(again.isClosed, true)
    await world.clock.advance(15_000)
    await world.neighbour('10.0.0.2').establish()
    assert.equal(status('bad').state, 'Established')
    assert.equal(status('bad').lastError?.includes('a fault'), true)
  })

test('the peer is told with Cease', async () => {
  const set = await scene()
  await faults['the decoder']!(set)
  await set.world.clock.settle()
  assert.match(set.bad.notified ?? '', /Cease/)
})
