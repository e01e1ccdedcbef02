import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError, ApiUnreachable } from '#/cluster/errors.ts'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { createLogger } from '#/lib/log.ts'
import { Signal } from '#/lib/signal.ts'
import { type PeerStatus } from '#/model/bgp.ts'
import { fieldsOf, type KubeNode, type KubeObject } from '#/model/kubernetes.ts'
import { bgpNodeStatus, type SpeakerReport } from './node-status.ts'
import { BgpStatusWriter } from './status-writer.ts'

function session(name: string, given: Partial<PeerStatus> = {}): PeerStatus {
  return {
    name,
    localAsn: 64_512,
    state: 'Established',
    sinceMs: Date.parse('2024-05-01T11:00:00Z'),
    families: [4],
    received: 1,
    accepted: 1,
    advertised: 1,
    flaps: 0,
    ...given,
  }
}

function reportOf(peers: readonly PeerStatus[], learned = 1): SpeakerReport {
  return { routerId: '192.0.2.1', asn: 64_512, role: 'mesh', peers, routes: { learned, installed: learned } }
}

/** An API with one object. */
class Scene {
  readonly clock = new ManualClock()
  readonly calls: string[] = []
  readonly logged: string[] = []
  live: KubeObject | undefined
  report: SpeakerReport | undefined = reportOf([session('tor')])
  error: Error | undefined
  /** What the API keeps of a status. */
  keep: (status: Record<string, unknown>) => Record<string, unknown> = (status) => status
  readonly ended = new Signal<void>()
  readonly writer: BgpStatusWriter

  constructor(node: KubeNode | undefined = { metadata: { name: 'n1', uid: 'u1' } }) {
    this.writer = new BgpStatusWriter({
      client: {
        create: async <T extends KubeObject>(path: string, body: unknown): Promise<T> => {
          await Promise.resolve()
          this.calls.push(`create ${path}`)
          if (this.error) throw this.error
          this.live = body as KubeObject
          return body as T
        },
        patch: async <T extends KubeObject>(path: string, body: unknown, type: string): Promise<T> => {
          await Promise.resolve()
          this.calls.push(`${type} ${path}`)
          if (this.error) throw this.error
          const status = Object.fromEntries(
            Object.entries(fieldsOf(fieldsOf(body)['status'])).filter(([, value]) => value !== null),
          )
          this.live = {
            ...this.live!,
            status: this.keep(JSON.parse(JSON.stringify(status)) as typeof status),
          } as KubeObject
          return this.live as T
        },
      },
      live: () => this.live,
      node: () => node,
      report: async () => this.report,
      log: createLogger({ level: 'warn', write: (line) => this.logged.push(line), now: () => '' }),
      outage: { ended: this.ended, spreadMs: () => 700 },
      clock: this.clock,
      random: () => 0,
    })
  }

  get status(): Record<string, unknown> {
    return fieldsOf(fieldsOf(this.live)['status'])
  }

  /** How many requests there were in that time. */
  async during(ms: number): Promise<number> {
    const before = this.calls.length
    await this.clock.advance(ms)
    return this.calls.length - before
  }
}

test('the object is made with the node as its owner, and its status written once', async () => {
  const scene = new Scene()
  await using writer = scene.writer
  writer.start()
  await scene.during(0)
  assert.deepEqual(scene.calls, [
    'create /apis/causeway.dev/v1alpha1/bgpnodes',
    'merge /apis/causeway.dev/v1alpha1/bgpnodes/n1/status',
  ])
  assert.deepEqual(fieldsOf(scene.live?.metadata)['ownerReferences'], [
    { apiVersion: 'v1', kind: 'Node', name: 'n1', uid: 'u1' },
  ])
  assert.deepEqual(scene.status, {
    routerID: '192.0.2.1',
    asn: 64_512,
    role: 'mesh',
    established: 1,
    configured: 1,
    sessions: [
      { peer: 'tor', state: 'Established', since: '2024-05-01T11:00:00Z', received: 1, accepted: 1, advertised: 1 },
    ],
    routes: { learned: 1, installed: 1 },
    conditions: [
      {
        type: 'Established',
        status: 'True',
        reason: 'AllEstablished',
        message: 'all of 1 sessions are established',
        lastTransitionTime: '2024-05-01T12:00:00Z',
      },
      {
        type: 'Drained',
        status: 'False',
        reason: 'NotAskedFor',
        message: 'the node may be told of',
        lastTransitionTime: '2024-05-01T12:00:00Z',
      },
    ],
  })
  assert.equal(await scene.during(600_000), 0)
})

test('a node that is drained says so, and since when', async () => {
  const scene = new Scene()
  await using writer = scene.writer
  writer.start()
  await scene.during(60_000)
  scene.report = { ...scene.report!, drainedBecause: 'this node is drained' }
  await scene.during(10_000)
  const conditions = scene.status['conditions'] as Record<string, unknown>[]
  assert.deepEqual(
    conditions.map(({ type, status, message }) => [type, status, message]),
    [
      ['Established', 'True', 'all of 1 sessions are established'],
      ['Drained', 'True', 'this node is drained'],
    ],
  )
  assert.notEqual(conditions[1]?.['lastTransitionTime'], conditions[0]?.['lastTransitionTime'])
})

test('a session that goes down is told within seconds, counts once a minute', async () => {
  const scene = new Scene()
  await using writer = scene.writer
  writer.start()
  await scene.during(0)
  for (let second = 0; second < 50; second++) {
    scene.report = reportOf([session('tor', { received: second })], second)
    assert.equal(await scene.during(1_000), 0)
  }
  assert.equal(await scene.during(15_000), 1)
  assert.deepEqual(scene.status['routes'], { learned: 49, installed: 49 })
  scene.report = reportOf([session('tor', { state: 'Active', lastError: 'hold timer expired' })], 0)
  assert.equal(await scene.during(5_000), 1)
  const [condition] = scene.status['conditions'] as Record<string, unknown>[]
  assert.deepEqual([condition?.['status'], condition?.['message']], ['False', 'tor: hold timer expired'])
  assert.notEqual(condition?.['lastTransitionTime'], '2024-05-01T12:00:00Z')
})

test('what somebody else wrote over it, or deleted, is put right', async () => {
  const scene = new Scene()
  await using writer = scene.writer
  writer.start()
  await scene.during(0)
  scene.live = { ...scene.live!, status: {} } as KubeObject
  await scene.during(65_000)
  assert.equal(scene.status['role'], 'mesh')
  scene.live = undefined
  assert.equal(await scene.during(10_000), 2)
})

test('an API that keeps fewer fields is not written to again and again', async () => {
  const scene = new Scene()
  await using writer = scene.writer
  scene.keep = ({ established: _established, ...status }) => status
  writer.start()
  await scene.during(0)
  assert.ok((await scene.during(600_000)) <= 10)
})

test('a node without BGP has no object made; one that had BGP is told to have none', async () => {
  const scene = new Scene()
  await using writer = scene.writer
  const { report } = scene
  scene.report = undefined
  writer.start()
  assert.equal(await scene.during(60_000), 0)
  scene.report = report
  await scene.during(5_000)
  scene.report = undefined
  await scene.during(5_000)
  assert.deepEqual(scene.status, {
    role: 'none',
    established: 0,
    configured: 0,
    sessions: [],
    routes: { learned: 0, installed: 0 },
    conditions: [],
  })
})

test('failures are told once, tried again with a growing pause, and a conflict of makers is none', async () => {
  const scene = new Scene()
  await using writer = scene.writer
  scene.error = new ApiUnreachable('POST', new Error('down'))
  writer.start()
  await scene.during(600_000)
  assert.equal(scene.logged.length, 1)
  assert.ok(scene.calls.length > 3 && scene.calls.length < 15, String(scene.calls.length))
  scene.error = new ApiError('POST', { code: 409, reason: 'AlreadyExists', detail: '' })
  const before = scene.calls.length
  await scene.during(150_000)
  assert.match(scene.calls.slice(before).join(), /create.*,merge/)
})

test('nothing is written before the node is known, nor after the end', async () => {
  const scene = new Scene()
  const unknown = new BgpStatusWriter({
    client: { create: () => assert.fail('made'), patch: () => assert.fail('written') },
    live: () => undefined,
    node: () => undefined,
    report: async () => scene.report,
    log: createLogger({ level: 'error', write: () => {}, now: () => '' }),
    clock: scene.clock,
  })
  unknown.start()
  await scene.during(60_000)
  await unknown[Symbol.asyncDispose]()
  scene.writer.start()
  await scene.during(0)
  await scene.writer[Symbol.asyncDispose]()
  scene.report = reportOf([])
  assert.equal(await scene.during(600_000), 0)
})

test('sessions are in the order in which they matter, and not without end', () => {
  const peers = [
    ...Array.from({ length: 200 }, (_, index) => session(`node/n${index}`, index === 7 ? { state: 'Idle' } : {})),
    session('tor-b'),
    session('tor-a', { state: 'Connect', addr: '192.0.2.9', remoteAsn: 65_001 }),
  ]
  const { sessions, established, configured } = bgpNodeStatus(reportOf(peers), undefined, 0)
  assert.deepEqual([established, configured, sessions.length], [200, 202, 100])
  assert.deepEqual(
    sessions.slice(0, 4).map(({ peer }) => peer),
    ['tor-a', 'tor-b', 'node/n7', 'node/n0'],
  )
  assert.deepEqual([sessions[0]?.address, sessions[0]?.asn], ['192.0.2.9', 65_001])
})

test('what could not be written while the API was away is written soon after it answers again', async () => {
  const scene = new Scene()
  await using writer = scene.writer
  writer.start()
  await scene.during(0)
  scene.report = reportOf([])
  scene.error = new ApiUnreachable('patch', new Error('ECONNREFUSED'))
  await scene.during(10 * 60_000)
  scene.error = undefined
  scene.ended.emit()
  assert.equal(await scene.during(600), 0)
  assert.equal(await scene.during(200), 1)
  assert.deepEqual(scene.status['configured'], 0)
  scene.ended.emit()
  assert.equal(await scene.during(1_000), 0)
})
