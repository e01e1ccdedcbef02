import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silent } from '#/lib/log.ts'
import { fieldsOf, type KubeObject, type Lease, leaseSpecOf } from '#/model/kubernetes.ts'
import type { RequestOptions } from './client.ts'
import { ApiError, ApiUnreachable } from './errors.ts'
import { LeaderElection, type LeaderElectionDeps } from './leader-election.ts'
import { ManualClock } from './testing/manual-clock.ts'

const refused = (code: number): ApiError => new ApiError('test', { code, reason: 'test', detail: '' })

/** One lease with optimistic locking, in memory. */
class LeaseServer {
  lease: (KubeObject & { spec: unknown }) | undefined
  /** What every request of that candidate meets. */
  readonly broken = new Map<string, 'away' | 'hangs'>()
  #version = 0

  client(identity: string): LeaderElectionDeps['client'] {
    return {
      get: <T extends KubeObject>(_path: string, options?: RequestOptions) =>
        this.#answer<T>(identity, options, () => this.#get()),
      create: <T extends KubeObject>(_path: string, body: unknown, options?: RequestOptions) =>
        this.#answer<T>(identity, options, () => this.#create(body)),
      replace: <T extends KubeObject>(_path: string, body: unknown, options?: RequestOptions) =>
        this.#answer<T>(identity, options, () => this.#replace(body)),
    }
  }

  get spec(): ReturnType<typeof leaseSpecOf> {
    assert.ok(this.lease)
    return leaseSpecOf(this.lease)
  }

  async #answer<T extends KubeObject>(
    identity: string,
    options: RequestOptions | undefined,
    act: () => Lease,
  ): Promise<T> {
    await Promise.resolve()
    const fault = this.broken.get(identity)
    if (fault === 'away') throw new ApiUnreachable('test', new Error('away'))
    if (fault === 'hangs') {
      const { promise, reject } = Promise.withResolvers<T>()
      options?.signal?.addEventListener('abort', () => reject(new ApiUnreachable('test', new Error('aborted'))))
      return promise
    }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as the client does
    return structuredClone(act()) as T
  }

  #get(): Lease {
    if (this.lease === undefined) throw refused(404)
    return this.lease
  }

  #create(body: unknown): Lease {
    if (this.lease !== undefined) throw refused(409)
    return this.#store(body)
  }

  #replace(body: unknown): Lease {
    if (fieldsOf(fieldsOf(body)['metadata'])['resourceVersion'] !== this.lease?.metadata.resourceVersion)
      throw refused(409)
    return this.#store(body)
  }

  #store(body: unknown): Lease {
    const { spec, metadata } = fieldsOf(structuredClone(body))
    this.lease = { metadata: { ...fieldsOf(metadata), name: 'x', resourceVersion: String(++this.#version) }, spec }
    return this.lease
  }
}

type Candidate = { readonly election: LeaderElection; readonly told: string[]; signal?: AbortSignal }

function candidate(
  server: LeaseServer,
  clock: ManualClock,
  identity: string,
  onStopped = (): void | Promise<void> => {},
): Candidate {
  const told: string[] = []
  const result: { -readonly [K in keyof Candidate]: Candidate[K] } = {
    told,
    election: new LeaderElection(
      { namespace: 'kube-system', name: 'x', identity },
      {
        client: server.client(identity),
        log: silent,
        clock,
        random: () => 0,
        onStarted: (signal) => {
          told.push('started')
          result.signal = signal
        },
        onStopped: () => {
          told.push('stopped')
          return onStopped()
        },
      },
    ),
  }
  result.election.start()
  return result
}

test('the first candidate creates the lease and renews it every 2 s', async () => {
  const [server, clock] = [new LeaseServer(), new ManualClock()]
  const one = candidate(server, clock, 'one')
  await clock.advance(0)
  assert.deepEqual(one.told, ['started'])
  const { acquireTime, renewTime } = server.spec
  assert.match(renewTime, /^2024-05-01T12:00:00\.000000Z$/)
  await clock.advance(60_000)
  assert.equal(server.spec.acquireTime, acquireTime)
  assert.equal(server.spec.renewTime, '2024-05-01T12:01:00.000000Z')
  assert.equal(server.spec.leaseTransitions, 0)
  assert.equal(one.election.isLeader, true)
  await one.election[Symbol.asyncDispose]()
})

test('a candidate waits until it has itself seen the lease unchanged for 15 s, whatever the times in it say', async () => {
  const [server, clock] = [new LeaseServer(), new ManualClock()]
  const one = candidate(server, clock, 'one')
  await clock.advance(0)
  const two = candidate(server, clock, 'two')
  clock.jumpWall(10 * 86_400_000)
  await clock.advance(4_000)
  assert.equal(two.election.holder, 'one')
  server.broken.set('one', 'away')
  await clock.advance(14_000)
  assert.deepEqual([one.election.isLeader, two.election.isLeader], [false, false])
  await clock.advance(3_000)
  assert.deepEqual([one.told, two.told], [['started', 'stopped'], ['started']])
  assert.equal(server.spec.leaseTransitions, 1)
  await one.election[Symbol.asyncDispose]()
  await two.election[Symbol.asyncDispose]()
})

for (const fault of ['away', 'hangs'] as const) {
  test(`a leader whose API ${fault === 'away' ? 'is away' : 'hangs'} stops 10 s after its last renewal`, async () => {
    const [server, clock] = [new LeaseServer(), new ManualClock()]
    const one = candidate(server, clock, 'one')
    await clock.advance(1_000)
    server.broken.set('one', fault)
    await clock.advance(8_900)
    assert.equal(one.election.isLeader, true)
    assert.equal(one.signal?.aborted, false)
    await clock.advance(200)
    assert.equal(one.election.isLeader, false)
    assert.equal(one.signal?.aborted, true)
    assert.deepEqual(one.told, ['started', 'stopped'])
    server.broken.clear()
    await clock.advance(10_000)
    assert.deepEqual(one.told, ['started', 'stopped', 'started'])
    assert.equal(one.election.lastError, undefined)
    await one.election[Symbol.asyncDispose]()
  })
}

test('isLeader is right even if no timer ran, as after the process was stopped', async () => {
  const [server, clock] = [new LeaseServer(), new ManualClock()]
  const one = candidate(server, clock, 'one')
  await clock.advance(0)
  assert.equal(one.election.isLeader, true)
  const before = clock.monotonicMs()
  clock.monotonicMs = () => before + 10_000
  assert.equal(one.election.isLeader, false)
  Reflect.deleteProperty(clock, 'monotonicMs')
  await one.election[Symbol.asyncDispose]()
})

test('a leader that sees another holder in the lease stops at once', async () => {
  const [server, clock] = [new LeaseServer(), new ManualClock()]
  const one = candidate(server, clock, 'one')
  await clock.advance(0)
  server.lease = {
    metadata: { name: 'x', resourceVersion: '99' },
    spec: { holderIdentity: 'thief', leaseDurationSeconds: 15 },
  }
  await clock.advance(2_000)
  assert.deepEqual(one.told, ['started', 'stopped'])
  assert.equal(one.election.holder, 'thief')
  await one.election[Symbol.asyncDispose]()
})

test('stopping waits for the work to end, then gives the lease back, and the next takes it within a retry', async () => {
  const [server, clock] = [new LeaseServer(), new ManualClock()]
  const { promise: workEnded, resolve: endWork } = Promise.withResolvers<void>()
  const one = candidate(server, clock, 'one', () => workEnded)
  await clock.advance(0)
  const two = candidate(server, clock, 'two')
  const stopping = one.election[Symbol.asyncDispose]()
  await clock.advance(3_000)
  assert.equal(one.signal?.aborted, true)
  assert.equal(server.spec.holderIdentity, 'one')
  endWork()
  await stopping
  assert.equal(server.spec.holderIdentity, '')
  await clock.advance(2_000)
  assert.deepEqual(two.told, ['started'])
  await two.election[Symbol.asyncDispose]()
})

test('fields that others wrote into the lease stay there', async () => {
  const [server, clock] = [new LeaseServer(), new ManualClock()]
  const metadata = { name: 'x', resourceVersion: '5', labels: { a: 'b' } }
  server.lease = { metadata, spec: { holderIdentity: '', strategy: 'OldestEmulationVersion' } }
  const one = candidate(server, clock, 'one')
  await clock.advance(0)
  assert.equal(one.election.isLeader, true)
  assert.deepEqual(server.lease.metadata.labels, { a: 'b' })
  assert.equal(fieldsOf(server.lease.spec)['strategy'], 'OldestEmulationVersion')
  await one.election[Symbol.asyncDispose]()
})

test('of many candidates over outages never two lead at once', async () => {
  const [server, clock] = [new LeaseServer(), new ManualClock()]
  const names = ['one', 'two', 'three']
  const all = names.map((name) => candidate(server, clock, name))
  let leaders = 0
  for (let step = 0; step < 400; step++) {
    const name = names[(step * 7) % 3]!
    if (step % 40 === 0) server.broken.set(name, step % 80 === 0 ? 'away' : 'hangs')
    if (step % 40 === 30) server.broken.clear()
    await clock.advance(500)
    const leading = all.filter(({ election }) => election.isLeader).length
    assert.ok(leading <= 1, `step ${step}: ${leading} lead`)
    leaders += leading
  }
  assert.ok(leaders > 200, `somebody leads most of the time: ${leaders} of 400`)
  await Promise.all(all.map(({ election }) => election[Symbol.asyncDispose]()))
})
