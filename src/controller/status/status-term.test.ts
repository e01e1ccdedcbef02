import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { clientFor } from '#/cluster/connect.ts'
import { nodesPath } from '#/cluster/paths.ts'
import { Reflector } from '#/cluster/reflector.ts'
import { FakeApi, type FakeRequest, isWatch, sendJson, sendStatus } from '#/cluster/testing/fake-api.ts'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { silent } from '#/lib/log.ts'
import { fieldsOf, type KubeNode, type ObjectReference } from '#/model/kubernetes.ts'
import { StatusTerm } from './status-term.ts'

type Stored = {
  metadata: { name: string; uid: string; generation: number; resourceVersion: string }
  spec: unknown
  status?: unknown
}

/** Objects of any kind without a namespace: lists, watches, and writes of a status. */
class ObjectsApi implements AsyncDisposable {
  /** Written statuses, as "bgppeers/tor". */
  readonly writes: string[] = []
  /** Whether statuses are stored as they are written. */
  keepsStatus = true
  /** Answers a write in place of the API; true when it has. */
  onWrite: (response: ServerResponse) => boolean = () => false
  readonly #objects = new Map<string, Map<string, Stored>>()
  readonly #watches = new Set<{ plural: string; response: ServerResponse }>()
  #version = 1
  #server!: FakeApi

  static async start(): Promise<ObjectsApi> {
    const api = new ObjectsApi()
    api.#server = await FakeApi.start((request, response) => api.#serve(request, response))
    return api
  }

  get config() {
    return this.#server.config
  }

  put(plural: string, name: string, { spec, status }: { spec?: unknown; status?: unknown }): void {
    const known = this.#of(plural).get(name)
    const generation = (known?.metadata.generation ?? 0) + (known !== undefined && spec === undefined ? 0 : 1)
    const metadata = { name, uid: `uid-${name}`, generation, resourceVersion: String(++this.#version) }
    const object: Stored = { metadata, spec: spec ?? known?.spec ?? {}, status: status ?? known?.status }
    this.#of(plural).set(name, object)
    const type = known === undefined ? 'ADDED' : 'MODIFIED'
    for (const watch of this.#watches)
      if (watch.plural === plural) watch.response.write(`${JSON.stringify({ type, object })}\n`)
  }

  statusOf(plural: string, name: string): Readonly<Record<string, unknown>> {
    return fieldsOf(this.#of(plural).get(name)?.status)
  }

  /** A condition as "True Reason: message". */
  condition(plural: string, name: string, wanted: string): string {
    const { conditions } = this.statusOf(plural, name)
    const found = Array.isArray(conditions) ? conditions.map(fieldsOf).find(({ type }) => type === wanted) : undefined
    return found === undefined
      ? ''
      : `${String(found['status'])} ${String(found['reason'])}: ${String(found['message'])}`
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server[Symbol.asyncDispose]()
  }

  #of(plural: string): Map<string, Stored> {
    return this.#objects.getOrInsertComputed(plural, () => new Map())
  }

  #serve(request: FakeRequest, response: ServerResponse): void {
    const parts = request.path.split('?')[0]!.split('/')
    const [plural = '', name] = parts.slice(parts[1] === 'api' ? 3 : 4)
    if (isWatch(request)) {
      response.writeHead(200).flushHeaders()
      const watch = { plural, response }
      this.#watches.add(watch)
      response.on('close', () => this.#watches.delete(watch))
      return
    }
    if (name === undefined) {
      const items = [...this.#of(plural).values()]
      return sendJson(response, { kind: 'List', metadata: { resourceVersion: String(this.#version) }, items })
    }
    if (this.onWrite(response)) return
    if (!this.#of(plural).has(name)) return sendStatus(response, 404, 'NotFound')
    this.writes.push(`${plural}/${name}`)
    const { status } = fieldsOf(JSON.parse(request.body))
    const given = Object.entries(fieldsOf(status)).filter(([, value]) => value !== null)
    const kept = this.keepsStatus ? Object.fromEntries(given) : {}
    this.put(plural, name, { status: { ...this.statusOf(plural, name), ...kept } })
    sendJson(response, this.#of(plural).get(name))
  }
}

type Run = AsyncDisposable & {
  readonly clock: ManualClock
  readonly events: string[]
  /** Lets time pass until the condition holds. */
  readonly until: (isSo: () => boolean, what: string) => Promise<void>
}

async function termOf(api: ObjectsApi): Promise<Run> {
  const clock = new ManualClock()
  const client = await clientFor(api.config, { clock, random: () => 0.5 })
  const stop = new AbortController()
  const events: string[] = []
  const record = ({ kind, name }: ObjectReference, type: string, reason: string, message: string): void => {
    events.push(`${type} ${reason} ${kind}/${name}: ${message}`)
  }
  const shared = { client, log: silent, clock, random: () => 0.5 }
  const nodes = new Reflector<KubeNode>({ path: nodesPath() }, shared)
  const term = new StatusTerm({ ...shared, recorder: { record }, isLeader: () => true, signal: stop.signal, nodes })
  nodes.start()
  term.start()
  const until = async (isSo: () => boolean, what: string): Promise<void> => {
    for (let round = 0; round < 1_000 && !isSo(); round++) {
      await clock.advance(250)
      await delay(1)
    }
    assert.ok(isSo(), `still not: ${what}`)
  }
  return {
    clock,
    events,
    until,
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await term[Symbol.asyncDispose]()
      await nodes[Symbol.asyncDispose]()
      await client[Symbol.asyncDispose]()
    },
  }
}

const ready = {
  conditions: [
    { type: 'Ready', status: 'True' },
    { type: 'NetworkUnavailable', status: 'False', reason: 'CausewayIsUp' },
  ],
}
const tor = { peerAddress: '192.0.2.1', peerASN: 65_001 }
const session = (state: string, received = 0) => ({ sessions: [{ peer: 'tor', state, received }] })

async function clusterOf(nodes: readonly string[]): Promise<ObjectsApi> {
  const api = await ObjectsApi.start()
  for (const name of nodes) {
    api.put('nodes', name, { status: ready })
    api.put('bgpnodes', name, { status: session('Established') })
  }
  api.put('bgppeers', 'tor', { spec: tor })
  api.put('routings', 'default', { spec: { mode: 'vxlan' } })
  api.put('bgpconfigurations', 'default', { spec: { asn: 64_512 } })
  return api
}

test('the status of each object is written, and again when a node makes something else of it', async () => {
  await using api = await clusterOf(['n1', 'n2'])
  await using run = await termOf(api)
  await run.until(() => api.writes.length === 3, 'three statuses')
  assert.equal(api.condition('bgppeers', 'tor', 'Established'), 'True AllEstablished: established on 2 nodes')
  assert.equal(api.condition('routings', 'default', 'Applied'), 'True OnAllNodes: vxlan on 2 nodes')
  assert.equal(api.condition('bgpconfigurations', 'default', 'Accepted'), 'True Accepted: it is used as it is written')
  api.put('bgpnodes', 'n2', { status: session('Active') })
  await run.until(() => api.condition('bgppeers', 'tor', 'Established').startsWith('False'), 'the session is down')
  assert.match(api.condition('bgppeers', 'tor', 'Established'), /on 1 of 2 nodes; not on n2 \(Active\)$/)
  // a node that nobody hears of any more: its BGPNode says still that all is well
  api.put('nodes', 'n1', { status: { conditions: [{ type: 'Ready', status: 'Unknown' }] } })
  await run.until(() => api.condition('routings', 'default', 'Applied').startsWith('False'), 'the node is silent')
  await run.until(() => fieldsOf(api.statusOf('bgppeers', 'tor')['nodes'])['established'] === 0, 'its session as well')
  assert.deepEqual(run.events, [])
})

test('of two BGPPeers with one neighbour the second is not accepted, until the first has another one', async () => {
  await using api = await clusterOf(['n1'])
  api.put('bgppeers', 'tor-2', { spec: tor })
  await using run = await termOf(api)
  const accepted = (): string => api.condition('bgppeers', 'tor-2', 'Accepted')
  await run.until(() => accepted().startsWith('False SameNeighbour'), 'it has a rival')
  assert.match(run.events.join(), /^Warning CannotBeUsed BGPPeer\/tor-2: CW4101 .*BGPPeer tor, whose name sorts first/)
  api.put('bgppeers', 'tor', { spec: { ...tor, peerAddress: '192.0.2.2' } })
  await run.until(() => accepted().startsWith('True'), 'it has none any more')
})

test('what changes nothing is not written, and mere numbers once a minute', async () => {
  await using api = await clusterOf(['n1', 'n2', 'n3'])
  api.put('bgpnodes', 'n1', { status: session('Active') })
  await using run = await termOf(api)
  await run.until(() => api.writes.length === 3, 'three statuses')
  const startMs = run.clock.monotonicMs()
  api.put('bgpnodes', 'n3', { status: session('Established', 7) })
  await run.clock.advance(20_000)
  assert.equal(api.writes.length, 3)
  api.put('bgpnodes', 'n2', { status: session('Active') })
  // what is news does not wait for the numbers
  await run.clock.advance(7_000)
  const newsMs = run.clock.monotonicMs()
  api.put('routings', 'default', { spec: { mode: 'native' } })
  await run.until(() => api.condition('routings', 'default', 'Applied').startsWith('False'), 'the other routing')
  assert.ok(run.clock.monotonicMs() - newsMs < 5_000)
  assert.equal(api.writes.pop(), 'routings/default')
  await run.until(() => api.writes.length === 4, 'the numbers')
  assert.ok(run.clock.monotonicMs() - startMs > 55_000)
  assert.deepEqual(fieldsOf(api.statusOf('bgppeers', 'tor')['nodes']), { selected: 3, established: 1 })
})

test('an API that keeps less of a status than is written does not get it again and again', async () => {
  await using api = await clusterOf(['n1'])
  api.keepsStatus = false
  await using run = await termOf(api)
  await run.until(() => api.writes.length === 3, 'three statuses')
  await run.clock.advance(50_000)
  assert.equal(api.writes.length, 3)
})

test('an object that cannot be used as it is written gets one event for each generation', async () => {
  await using api = await clusterOf(['n1'])
  api.put('bgppeers', 'tor', { spec: { ...tor, peerASN: 23_456 } })
  api.put('routings', 'other', { spec: { mode: 'native' } })
  {
    await using run = await termOf(api)
    await run.until(() => api.writes.length === 4, 'four statuses')
    assert.match(api.condition('bgppeers', 'tor', 'Accepted'), /^False NoNeighbour: spec\.peerASN: 23456 is reserved/)
    assert.match(api.condition('routings', 'other', 'Accepted'), /^False NotLookedAt: /)
    assert.equal(run.events.length, 2)
    assert.match(
      run.events.toSorted()[0]!,
      /^Warning CannotBeUsed BGPPeer\/tor: CW4005 bgppeer\/tor: spec\.peerASN: 23456/,
    )
    api.put('bgpnodes', 'n1', { status: session('Idle') })
    api.put('nodes', 'n2', { status: ready })
    await run.clock.advance(130_000)
    assert.equal(run.events.length, 2, 'the same object is no news')
  }
  // another leader
  await using run = await termOf(api)
  await run.clock.advance(10_000)
  assert.deepEqual(run.events, [])
  api.put('bgppeers', 'tor', { spec: { ...tor, peerASN: 65_535 } })
  await run.until(() => run.events.length === 1, 'the event of the next generation')
  assert.match(run.events[0]!, /65535/)
})

test('a write that fails is tried again, and an object that is gone is not', async () => {
  await using api = await clusterOf(['n1'])
  let failures = 0
  api.onWrite = (response) => {
    if (++failures > 3) return false
    sendStatus(response, failures === 1 ? 404 : 500, failures === 1 ? 'NotFound' : 'InternalError')
    return true
  }
  await using run = await termOf(api)
  await run.until(() => api.writes.length === 2, 'the two objects that are there')
  assert.ok(failures >= 4)
})
