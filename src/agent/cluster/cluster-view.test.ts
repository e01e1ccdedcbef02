import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Reflector } from '#/cluster/reflector.ts'
import { type Listener } from '#/cluster/store.ts'
import { type NodeState } from '#/model/network.ts'
import { formerPodCIDRsAnnotation, type KubeNode } from '#/model/kubernetes.ts'
import { datapathAnnotation } from '#/model/datapath.ts'
import { routingAnnotation, routingStateAnnotation } from '#/model/routing.ts'
import { ClusterView, keepOfNodes } from './cluster-view.ts'
import { EndpointStore } from '../endpoints/endpoint-store.ts'

type Condition = { readonly type: string; readonly status: string; readonly reason?: string }

function node(name: string, annotations: Record<string, string> = {}, conditions: readonly Condition[] = []): KubeNode {
  return {
    metadata: { name, uid: name, annotations },
    spec: { podCIDRs: ['10.244.1.0/24'] },
    status: { addresses: [{ type: 'InternalIP', address: '172.30.1.1' }], conditions },
  }
}

class CountingStore extends EndpointStore {
  writes = 0

  override setSettings(values: Parameters<EndpointStore['setSettings']>[0]): void {
    this.writes++
    super.setSettings(values)
  }
}

class Scene implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'causeway-view-'))
  readonly #store = new CountingStore(join(this.#folder, 'endpoints.sqlite'))
  #tell: Listener<KubeNode> = () => {}
  changes = 0
  view = this.restarted()

  restarted(inSync = true): ClusterView {
    const reflector = {
      inSync,
      subscribe: (listener: Listener<KubeNode>) => void (this.#tell = listener),
    } as unknown as Reflector<KubeNode>
    this.view = new ClusterView(
      { nodeName: 'node-1' },
      { reflector, store: this.#store, onChange: () => this.changes++ },
    )
    // the API is late
    if (!inSync) this.view.recall()
    return this.view
  }

  /** As the reflector has it: without what is not kept. */
  take(object: KubeNode): void {
    this.#tell({ kind: 'added', key: object.metadata.name, object: keepOfNodes('node-1')(object) })
  }

  remove(name: string): void {
    this.#tell({ kind: 'deleted', key: name, object: node(name) })
  }

  damage(name: string, text: string): void {
    this.#store.setSetting(`node ${name}`, text)
  }

  /** As an earlier release writes this node, which knows nothing of what is remembered of others. */
  runEarlierRelease(): void {
    const { remembersNodes: _, ...self } = JSON.parse(this.#store.setting('self')!) as Record<string, unknown>
    this.#store.setSetting('self', JSON.stringify(self))
  }

  sync(): void {
    this.#tell({ kind: 'synced' })
  }

  /** The other nodes that changed since the last call, by name. */
  get changed(): Record<string, NodeState | undefined> {
    return Object.fromEntries(this.view.takeChanges().changes)
  }

  get other(): NodeState | undefined {
    return this.view.takeChanges().changes.find(([name]) => name === 'node-2')?.[1]
  }

  get writes(): number {
    return this.#store.writes
  }

  get problems(): string {
    return this.view.problems.map(({ object, message }) => `${object}: ${message}`).join('\n')
  }

  [Symbol.dispose](): void {
    this.#store[Symbol.dispose]()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

const native = '{"mode":"native","sends":["native"],"accepts":["native"]}'

test('the annotation of this node sets its routing, also after a restart without the API; an invalid one is a problem and sets none', () => {
  using scene = new Scene()
  scene.take(node('node-1', { [routingAnnotation]: 'native' }))
  assert.equal(scene.view.self?.routing, 'native')
  scene.view.save()
  assert.equal(scene.restarted().self?.routing, 'native')
  scene.take(node('node-1', { [routingAnnotation]: 'fast' }))
  assert.equal(scene.view.self?.routing, undefined)
  assert.match(
    scene.problems,
    /^node\/node-1: annotation causeway\.dev\/routing: "fast" is none of vxlan, native, auto/,
  )
})

test('so does the annotation of its datapath', () => {
  using scene = new Scene()
  scene.take(node('node-1', { [datapathAnnotation]: 'ebpf' }))
  assert.equal(scene.view.self?.datapath, 'ebpf')
  scene.view.save()
  assert.equal(scene.restarted().self?.datapath, 'ebpf')
  scene.take(node('node-1', { [datapathAnnotation]: 'fast' }))
  assert.equal(scene.view.self?.datapath, undefined)
  assert.match(scene.problems, /^node\/node-1: annotation causeway\.dev\/datapath: "fast" is none of bridge, ebpf/)
})

test('the datapath that was noted last is known after a restart', () => {
  using scene = new Scene()
  scene.take(node('node-1'))
  assert.equal(scene.view.formerDatapath, undefined)
  scene.view.noteDatapath('ebpf')
  scene.view.save()
  assert.equal(scene.restarted().formerDatapath, 'ebpf')
  scene.view.save()
  assert.equal(scene.restarted().formerDatapath, 'ebpf')
})

test("the routing state that this node publishes is known and causes a pass when it changes, but does not change the node's own state", () => {
  using scene = new Scene()
  scene.take(node('node-1'))
  const { self } = scene.view
  assert.deepEqual([scene.view.published, scene.changes], [undefined, 1])
  scene.take(node('node-1', { [routingStateAnnotation]: native }))
  assert.deepEqual([scene.view.self === self, scene.view.published?.mode, scene.changes], [true, 'native', 2])
  scene.take(node('node-1', { [routingStateAnnotation]: native, other: 'thing' }))
  assert.equal(scene.changes, 2)
})

test('the routing that this node published last is known after a restart, until its Node object has another', () => {
  using scene = new Scene()
  assert.equal(scene.view.toldRouting, undefined)
  scene.take(node('node-1', { [routingStateAnnotation]: native }))
  assert.equal(scene.view.toldRouting, 'native')
  scene.view.save()
  assert.equal(scene.restarted().toldRouting, 'native')
  scene.view.save()
  assert.equal(scene.restarted().toldRouting, 'native')
  scene.take(node('node-1'))
  assert.equal(scene.view.toldRouting, undefined)
})

test("another node's routing state is known; an invalid one is a problem, and the node counts as one without the annotation", () => {
  using scene = new Scene()
  scene.take(node('node-2', { [routingStateAnnotation]: native }))
  assert.deepEqual(scene.other?.routingState, { mode: 'native', sends: ['native'], accepts: ['native'] })
  scene.take(node('node-2', { [routingStateAnnotation]: '{"mode":7}' }))
  assert.equal(scene.other?.routingState, undefined)
  assert.match(scene.problems, /node\/node-2: annotation causeway\.dev\/routing-state: .* cannot be read/)
})

test('a node is starting until its routing state or its NetworkUnavailable condition says that its network was set up', () => {
  const unavailable = (status: string, reason: string): Condition => ({ type: 'NetworkUnavailable', status, reason })
  const cases: [annotations: Record<string, string>, conditions: Condition[], isStarting: boolean][] = [
    [{}, [], true],
    [{}, [{ type: 'Ready', status: 'True' }], true],
    [{}, [unavailable('True', 'NoRouteCreated')], true],
    [{}, [unavailable('False', 'FlannelIsUp')], false],
    [{}, [unavailable('True', 'CausewayIsNotReady')], false],
    [{ [routingStateAnnotation]: native }, [], false],
  ]
  for (const [annotations, conditions, isStarting] of cases) {
    using scene = new Scene()
    scene.take(node('node-2', annotations, conditions))
    assert.equal(scene.other!.isStarting ?? false, isStarting, JSON.stringify([annotations, conditions]))
  }
})

const conditions = [{ type: 'Ready', status: 'True' }]
const former = { [formerPodCIDRsAnnotation]: '10.244.9.0/24', [routingStateAnnotation]: native }

test('other nodes are remembered over a restart until the API has told all: then those that it did not tell of are gone', () => {
  using scene = new Scene()
  for (const name of ['node-1', 'node-2', 'node-3']) scene.take(node(name, former, conditions))
  scene.sync()
  const known = scene.changed
  assert.deepEqual(Object.keys(known), ['node-2', 'node-3'])
  scene.view.save()
  scene.restarted(false)
  assert.deepEqual(scene.changed, known)
  // what is the same is no change
  scene.changes = 0
  scene.take(node('node-2', former, conditions))
  assert.deepEqual([scene.changes, scene.changed], [0, {}])
  scene.sync()
  assert.deepEqual(scene.changed, { 'node-3': undefined })
  scene.view.save()
  assert.deepEqual(Object.keys((scene.restarted(false), scene.changed)), ['node-2'])
})

test('a node that changes only in what does not matter is not written, and one that is gone is not remembered', () => {
  using scene = new Scene()
  scene.take(node('node-2', {}, conditions))
  scene.view.save()
  const before = scene.writes
  scene.take(node('node-2', { other: 'thing' }, [...conditions, { type: 'DiskPressure', status: 'False' }]))
  scene.view.save()
  assert.equal(scene.writes, before)
  scene.remove('node-2')
  scene.view.save()
  scene.restarted(false)
  assert.deepEqual(scene.changed, {})
})

test('an API that answers in time makes nobody read what is remembered, and nodes deleted meanwhile are forgotten', () => {
  using scene = new Scene()
  for (const name of ['node-1', 'node-2', 'node-3']) scene.take(node(name))
  scene.sync()
  scene.view.save()
  scene.restarted()
  for (const name of ['node-1', 'node-2']) scene.take(node(name))
  scene.sync()
  scene.view.recall()
  assert.deepEqual(Object.keys(scene.changed), ['node-2'])
  scene.view.save()
  assert.deepEqual(Object.keys((scene.restarted(false), scene.changed)), ['node-2'])
})

test('a damaged memory keeps no agent from starting', () => {
  using scene = new Scene()
  scene.take(node('node-2'))
  scene.view.save()
  const damaged = ['{', '7', 'null', '{"name":"node-8"}', '{"name":"node-9","podCIDRs":["x"],"addrs":[]}']
  for (const [index, text] of damaged.entries()) scene.damage(`node-${5 + index}`, text)
  scene.restarted(false)
  assert.deepEqual(Object.keys(scene.changed), ['node-2'])
})

test('what is remembered of other nodes counts no more after an earlier release has run, which did not keep it', () => {
  using scene = new Scene()
  scene.take(node('node-1'))
  scene.take(node('node-2'))
  scene.view.save()
  scene.restarted(false)
  assert.ok(scene.other, 'it is remembered')
  scene.runEarlierRelease()
  scene.restarted(false)
  assert.equal(scene.other, undefined)
  scene.view.save()
  scene.restarted(false)
  assert.equal(scene.other, undefined, 'not later either')
  scene.take(node('node-2'))
  scene.view.save()
  scene.restarted(false)
  assert.ok(scene.other)
})
