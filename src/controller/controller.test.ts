import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { ApiClient } from '#/cluster/client.ts'
import { clientFor } from '#/cluster/connect.ts'
import { FakeApi, type FakeRequest, isWatch, sendJson, sendStatus } from '#/cluster/testing/fake-api.ts'
import { ManualClock } from '#/cluster/testing/manual-clock.ts'
import { Prefix } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { fieldsOf, type KubeNode, type ObjectReference, podCIDRsOf } from '#/model/kubernetes.ts'
import { Controller } from './controller.ts'

/** Nodes and one lease, with optimistic locking and the rule that pod CIDRs are set once, as in a real API server. */
class NodesApi implements AsyncDisposable {
  readonly nodes = new Map<string, KubeNode>()
  readonly patches: string[] = []
  /** Runs before a patch is looked at; true when it has answered itself. */
  onPatch: (name: string, response: ServerResponse) => boolean = () => false
  onList: (response: ServerResponse) => boolean = () => false
  lease: object | undefined
  #version = 100
  readonly #watches = new Set<ServerResponse>()
  #server!: FakeApi

  static async start(): Promise<NodesApi> {
    const api = new NodesApi()
    api.#server = await FakeApi.start((request, response) => api.#serve(request, response))
    return api
  }

  client(clock: ManualClock): Promise<ApiClient> {
    return clientFor(this.#server.config, { clock, random: () => 0.5 })
  }

  put(name: string, podCIDRs: readonly string[] = [], uid = `uid-${name}`): KubeNode {
    const isKnown = this.nodes.has(name)
    const metadata = { name, uid, resourceVersion: String(++this.#version) }
    const node: KubeNode = { metadata, spec: podCIDRs.length > 0 ? { podCIDR: podCIDRs[0], podCIDRs } : {} }
    this.nodes.set(name, node)
    this.#tell(isKnown ? 'MODIFIED' : 'ADDED', node)
    return node
  }

  remove(name: string): void {
    const node = this.nodes.get(name)!
    this.nodes.delete(name)
    const metadata = { ...node.metadata, resourceVersion: String(++this.#version) }
    this.#tell('DELETED', { ...node, metadata })
  }

  cidrsOf(name: string): string {
    return podCIDRsOf(this.nodes.get(name)!).prefixes.join(' ')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server[Symbol.asyncDispose]()
  }

  #tell(type: string, object: KubeNode): void {
    for (const watch of this.#watches) watch.write(`${JSON.stringify({ type, object })}\n`)
  }

  #serve(request: FakeRequest, response: ServerResponse): void {
    if (request.path.includes('/leases')) return this.#serveLease(request, response)
    if (isWatch(request)) {
      response.writeHead(200).flushHeaders()
      this.#watches.add(response)
      response.on('close', () => this.#watches.delete(response))
      return
    }
    const name = request.path.split('/')[4]
    if (name === undefined) {
      if (this.onList(response)) return
      const metadata = { resourceVersion: String(this.#version) }
      return sendJson(response, { kind: 'NodeList', metadata, items: [...this.nodes.values()] })
    }
    const node = this.nodes.get(name)
    if (node === undefined) return sendStatus(response, 404, 'NotFound')
    if (request.method === 'GET') return sendJson(response, node)
    this.#patch(node, request, response)
  }

  #patch(node: KubeNode, request: FakeRequest, response: ServerResponse): void {
    const { name } = node.metadata
    this.patches.push(name)
    if (this.onPatch(name, response)) return
    const current = this.nodes.get(name)
    const patch = fieldsOf(JSON.parse(request.body))
    const { uid, resourceVersion } = fieldsOf(patch['metadata'])
    if (uid !== current?.metadata.uid || resourceVersion !== current?.metadata.resourceVersion) {
      return sendStatus(response, 409, 'Conflict')
    }
    assert.equal(podCIDRsOf(node).prefixes.length, 0, 'pod CIDRs are never changed')
    const podCIDRs = fieldsOf(patch['spec'])['podCIDRs']
    assert.ok(Array.isArray(podCIDRs))
    sendJson(response, this.put(name, podCIDRs.map(String), node.metadata.uid))
  }

  #serveLease(request: FakeRequest, response: ServerResponse): void {
    if (request.method === 'GET') {
      if (this.lease === undefined) return sendStatus(response, 404, 'NotFound')
      return sendJson(response, this.lease)
    }
    const sent = fieldsOf(JSON.parse(request.body))
    const metadata = { ...fieldsOf(sent['metadata']), resourceVersion: String(++this.#version) }
    this.lease = { ...sent, metadata }
    sendJson(response, this.lease)
  }
}

type Told = { readonly node: string; readonly reason: string; readonly message: string }

type Run = AsyncDisposable & {
  readonly controller: Controller
  readonly clock: ManualClock
  readonly told: readonly Told[]
}

async function controllerOf(
  api: NodesApi,
  options: { cidrs?: string[]; identity?: string; clock?: ManualClock; givesPodCIDRs?: boolean } = {},
): Promise<Run> {
  const {
    cidrs = ['10.244.0.0/16', 'fd00::/48'],
    identity = 'one',
    clock = new ManualClock(),
    givesPodCIDRs = true,
  } = options
  const told: Told[] = []
  const record = (regarding: ObjectReference, _type: string, reason: string, message: string): void => {
    told.push({ node: regarding.name, reason, message })
  }
  const controller = new Controller(
    {
      clusterCIDRs: cidrs.map((text) => Prefix.parse(text)),
      nodeMaskSizes: { 4: 24, 6: 64 },
      givesPodCIDRs,
      identity,
      leaseNamespace: 'kube-system',
    },
    { client: await api.client(clock), log: silent, recorder: { record }, clock, random: () => 0.5 },
  )
  return { controller, clock, told, [Symbol.asyncDispose]: () => controller[Symbol.asyncDispose]() }
}

/** Lets short delays pass until the condition holds; the requests in between are real. */
async function passUntil(clock: ManualClock, condition: () => boolean, what: string): Promise<void> {
  for (let round = 0; round < 200 && !condition(); round++) {
    await clock.advance(30)
    await delay(2)
  }
  assert.ok(condition(), `still not: ${what}`)
}

test('a controller for statuses alone leads and gives no pod CIDRs, however little room there were', async () => {
  await using api = await NodesApi.start()
  api.put('a')
  await using run = await controllerOf(api, { cidrs: ['10.244.0.0/25'], givesPodCIDRs: false })
  run.controller.start()
  await passUntil(run.clock, () => run.controller.status().isLeader, 'it leads')
  await run.clock.advance(10_000)
  assert.deepEqual(api.patches, [])
  assert.equal(run.controller.status().term, undefined)
})

test('nodes get pod CIDRs of both families, keep those they have, and free them when they are deleted', async () => {
  await using api = await NodesApi.start()
  api.put('a')
  api.put('b', ['10.244.0.0/24', 'fd00::/64'])
  await using run = await controllerOf(api, { cidrs: ['10.244.0.0/23', 'fd00::/48'] })
  const { controller, clock } = run
  controller.start()
  await passUntil(clock, () => api.cidrsOf('a') !== '', 'a has pod CIDRs')
  assert.equal(api.cidrsOf('a'), '10.244.1.0/24 fd00:0:0:1::/64')
  api.put('c')
  await passUntil(clock, () => controller.status().term?.problems.length === 1, 'c is told of exhaustion')
  assert.equal(api.cidrsOf('c'), '')
  api.remove('b')
  await passUntil(clock, () => api.cidrsOf('c') !== '', 'c has pod CIDRs')
  assert.equal(api.cidrsOf('c'), '10.244.0.0/24 fd00:0:0:2::/64')
  await passUntil(clock, () => controller.status().term?.nodes.assigned === 2, 'the controller sees it')
  assert.deepEqual(controller.status().term?.nodes, { total: 2, assigned: 2, pending: 0, unassigned: 0 })
  assert.equal(controller.status().isLeader, true)
})

test('exhaustion and overlapping claims are recorded as events, once', async () => {
  await using api = await NodesApi.start()
  api.put('a', ['10.244.0.0/24'])
  api.put('b', ['10.244.0.128/25'])
  api.put('c')
  await using run = await controllerOf(api, { cidrs: ['10.244.0.0/24'] })
  const { controller, clock, told } = run
  controller.start()
  await passUntil(clock, () => told.length >= 3, 'three events')
  api.put('d', ['10.9.0.0/24'])
  await passUntil(clock, () => told.length >= 4, 'the event of d')
  assert.deepEqual(
    told.map(({ node, reason }) => `${node} ${reason}`),
    ['a PodCIDRConflict', 'b PodCIDRConflict', 'c CIDRNotAvailable', 'd PodCIDROutsideClusterCIDR'],
  )
  assert.deepEqual(api.patches, [])
})

test('a conflict is read again and tried again; a writer that was faster is honoured', async () => {
  await using api = await NodesApi.start()
  api.put('a')
  api.put('b')
  const interfered = new Set<string>()
  api.onPatch = (name) => {
    if (!interfered.has(name)) api.put(name, name === 'a' ? [] : ['10.244.9.0/24', 'fd00:0:0:9::/64'])
    interfered.add(name)
    return false
  }
  await using run = await controllerOf(api)
  const { controller, clock } = run
  controller.start()
  await passUntil(clock, () => controller.status().term?.nodes.assigned === 2, 'both are assigned')
  assert.equal(api.cidrsOf('a'), '10.244.0.0/24 fd00::/64')
  assert.equal(api.cidrsOf('b'), '10.244.9.0/24 fd00:0:0:9::/64')
})

test('a refused write is reported and tried again, and no other node gets its prefixes meanwhile', async () => {
  await using api = await NodesApi.start()
  api.put('a')
  let refusals = 3
  api.onPatch = (name, response) => {
    if (name !== 'a' || refusals-- <= 0) return false
    sendStatus(response, 422, 'Invalid')
    return true
  }
  await using run = await controllerOf(api)
  const { controller, clock, told } = run
  controller.start()
  await passUntil(clock, () => told.length > 0, 'the failure is told')
  api.put('0')
  await passUntil(clock, () => api.cidrsOf('0') !== '' && api.cidrsOf('a') !== '', 'both are assigned')
  assert.equal(api.cidrsOf('a'), '10.244.0.0/24 fd00::/64')
  assert.equal(api.cidrsOf('0'), '10.244.1.0/24 fd00:0:0:1::/64')
  assert.equal(told[0]?.reason, 'CIDRAssignmentFailed')
})

test("after a write whose answer is lost, the API's Node object decides", async () => {
  await using api = await NodesApi.start()
  api.put('a')
  let isFirst = true
  api.onPatch = (_name, response) => {
    if (!isFirst) return false
    isFirst = false
    response.destroy()
    return true
  }
  await using run = await controllerOf(api)
  const { controller, clock } = run
  controller.start()
  await passUntil(clock, () => controller.status().term?.nodes.assigned === 1, 'a is assigned')
  assert.equal(api.patches.length, 2)
})

test('nothing is written before the whole list is known, nor after the lease is lost', async () => {
  await using api = await NodesApi.start()
  api.put('a')
  let isListBroken = true
  api.onList = (response) => {
    if (isListBroken) sendStatus(response, 500, 'InternalError')
    return isListBroken
  }
  await using run = await controllerOf(api)
  const { controller, clock } = run
  controller.start()
  await passUntil(clock, () => controller.status().term?.watch.lastError !== undefined, 'the list fails')
  assert.deepEqual(api.patches, [])
  isListBroken = false
  await passUntil(clock, () => api.cidrsOf('a') !== '', 'a is assigned')
  api.lease = {
    ...api.lease,
    metadata: { name: 'causeway-controller', resourceVersion: '1' },
    spec: { holderIdentity: 'other', leaseDurationSeconds: 15, renewTime: '2024-01-01T00:00:00.000000Z' },
  }
  await clock.advance(2_500)
  await passUntil(clock, () => !controller.status().isLeader, 'the loss is seen')
  const before = api.patches.length
  api.put('b')
  for (let round = 0; round < 10; round++) await clock.advance(100)
  assert.equal(api.patches.length, before)
  assert.equal(controller.status().leader, 'other')
  assert.equal(controller.status().term, undefined)
})

test('a second controller takes over what the first gave back, and goes on from the API', async () => {
  await using api = await NodesApi.start()
  api.put('a')
  await using first = await controllerOf(api, { identity: 'first' })
  await using second = await controllerOf(api, { identity: 'second' })
  first.controller.start()
  await passUntil(first.clock, () => api.cidrsOf('a') !== '', 'a is assigned')
  second.controller.start()
  await passUntil(second.clock, () => second.controller.status().leader === 'first', 'the second sees the first')
  api.put('b')
  await passUntil(first.clock, () => api.cidrsOf('b') !== '', 'b is assigned')
  await first.controller[Symbol.asyncDispose]()
  api.put('c')
  await passUntil(second.clock, () => api.cidrsOf('c') !== '', 'c is assigned by the second')
  assert.equal(api.cidrsOf('c'), '10.244.2.0/24 fd00:0:0:2::/64')
})

test('a configuration that cannot work is refused', async () => {
  await using api = await NodesApi.start()
  await assert.rejects(controllerOf(api, { cidrs: ['10.0.0.0/28'] }), /node mask size \/24 is shorter/)
})
