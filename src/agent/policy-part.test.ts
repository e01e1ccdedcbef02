import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type ApiClient } from '#/cluster/client.ts'
import { type Clock } from '#/cluster/clock.ts'
import { clientFor } from '#/cluster/connect.ts'
import { clusterNetworkPoliciesPath, namespacesPath, networkPoliciesPath, podsPath } from '#/cluster/paths.ts'
import { CollectionsApi } from '#/cluster/testing/collections-api.ts'
import { eventually } from '#/cluster/testing/manual-clock.ts'
import { type Netlink } from '#/kernel/netlink.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { silent } from '#/lib/log.ts'
import { type Form, type FormChange } from '#/policy/form.ts'
import { type PolicySink } from '#/reconcile/policy/policy-sink.ts'
import { EndpointStore } from './endpoints/endpoint-store.ts'
import { PolicyPart } from './policy-part.ts'
import { namespaceObject, podObject, policyObject } from './policy/testing/policy-objects.ts'

/** A sink that keeps the classes of pods, as a kernel would. */
class FakeKernel implements PolicySink {
  locals = new Map<string, boolean>()
  hasRules = false
  refusal: Error | undefined
  readonly dropped: string[] = []
  readonly objects = []

  apply(form: Form, _change: FormChange): void {
    if (this.refusal) throw this.refusal
    this.#take(form)
  }

  noteMissed(): void {}

  async compare(form: Form): Promise<readonly string[]> {
    if (this.refusal) throw this.refusal
    this.#take(form)
    return []
  }

  #take({ locals }: Form): void {
    this.locals = new Map([...locals.values()].map(({ pod, ingress }) => [pod, ingress !== undefined]))
  }

  dropLocal(_device: string, addrs: readonly Addr[]): void {
    this.dropped.push(...addrs.map(String))
  }

  existsInKernel(): boolean {
    return this.hasRules
  }
}

/** Twenty times as fast as time. */
const fastClock: Clock = {
  monotonicMs: () => performance.now() * 20,
  wallMs: () => performance.now() * 20,
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs / 20)
    return () => clearTimeout(timer)
  },
}

const patient = new AbortController().signal
const podCIDRs = [Prefix.parse('10.244.1.0/24')]
const isolate = { podSelector: { matchLabels: { app: 'web' } }, ingress: [] }

class Scene implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'causeway-policy-'))
  readonly store = new EndpointStore(join(this.folder, 'endpoints.sqlite'), { coolDownMs: 0 })
  readonly kernel = new FakeKernel()
  readonly api: CollectionsApi
  readonly #client: ApiClient
  part: PolicyPart

  private constructor(api: CollectionsApi, client: ApiClient) {
    this.api = api
    this.#client = client
    this.part = this.#make()
  }

  static async start(): Promise<Scene> {
    const api = await CollectionsApi.start()
    return new Scene(api, await clientFor(api.config))
  }

  #make(): PolicyPart {
    return new PolicyPart(
      { nodeName: 'node-1', clusterCIDRs: [] },
      {
        client: this.#client,
        netlink: {} as Netlink,
        nodes: { subscribe: () => () => {} },
        store: this.store,
        sinks: [this.kernel],
        bridgeMac: () => undefined,
        onNews() {},
        clock: fastClock,
        log: silent,
      },
    )
  }

  /** The agent ends, and another one comes. */
  async restart(): Promise<void> {
    await this.part[Symbol.asyncDispose]()
    this.part = this.#make()
    this.part.start()
  }

  async synced(): Promise<void> {
    this.part.start()
    await eventually(() => this.part.keeper.isLevel, 'level')
  }

  /** An ADD of the pod as the CNI handler makes it; what it is refused with. */
  async add(key: string, uid = `uid of ${key}`): Promise<string | undefined> {
    const [namespace, name] = key.split('/') as [string, string]
    const pod = { namespace, name, uid }
    const refusal = await this.part.admit(pod, patient)
    if (refusal !== undefined) return refusal
    const reservation = this.store.reserve(
      {
        containerId: key,
        ifName: 'eth0',
        netns: '/x',
        pod: key,
        podUid: uid,
        hostDevice: `cwv-${key}`,
        datapath: 'bridge',
      },
      podCIDRs,
    )
    assert.ok(reservation.kind === 'reserved')
    this.part.enforce(reservation.endpoint, pod)
    return undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.part[Symbol.asyncDispose]()
    await this.#client[Symbol.asyncDispose]()
    await this.api[Symbol.asyncDispose]()
    this.store[Symbol.dispose]()
    rmSync(this.folder, { recursive: true })
  }
}

test('a pod is wired when its labels are known, with its rules in the kernel first', async () => {
  await using scene = await Scene.start()
  const { api, kernel } = scene
  api.put(namespacesPath(), namespaceObject('shop'))
  api.put(networkPoliciesPath(), policyObject('shop/web', isolate))
  await scene.synced()
  const added = scene.add('shop/web')
  let isAdded = false
  void added.then(() => (isAdded = true))
  await new Promise((resolve) => setTimeout(resolve, 30))
  assert.equal(isAdded, false, 'it waits')
  api.put(podsPath(), podObject('shop/web', { labels: { app: 'web' } }))
  assert.equal(await added, undefined)
  assert.deepEqual([...kernel.locals], [['shop/web', true]])
  // another pod under the same name
  assert.match((await scene.add('shop/web', 'another'))!, /UID uid of shop\/web, and the one to be wired another/)
})

test('without any policy nobody waits, and a policy that comes is enforced for all', async () => {
  await using scene = await Scene.start()
  const { api, kernel, part } = scene
  api.put(namespacesPath(), namespaceObject('shop'))
  await scene.synced()
  assert.equal(part.state.kind, 'off')
  assert.equal(await scene.add('shop/web'), undefined)
  api.put(podsPath(), podObject('shop/web', { labels: { app: 'web' } }))
  api.put(networkPoliciesPath(), policyObject('shop/web', isolate))
  await eventually(() => kernel.locals.get('shop/web') === true, 'enforced')
  assert.equal(part.state.kind, 'enforced')
})

test('a pod whose rules cannot be written is not wired, and the node says so until they can', async () => {
  await using scene = await Scene.start()
  const { api, kernel, part } = scene
  api.put(namespacesPath(), namespaceObject('shop'))
  api.put(podsPath(), podObject('shop/web', { labels: { app: 'web' } }))
  api.put(networkPoliciesPath(), policyObject('shop/web', isolate))
  await scene.synced()
  kernel.refusal = new Error('nft: ENOMEM')
  await assert.rejects(scene.add('shop/web'), /ENOMEM/)
  assert.equal(part.state.kind, 'failing')
  await eventually(() => part.refusal !== undefined, 'a lasting failure')
  assert.match(part.refusal!.details, /the rules cannot be written: nft: ENOMEM/)
  assert.deepEqual(
    part.problems.map(({ code }) => code),
    ['CW3303'],
  )
  kernel.refusal = undefined
  assert.equal(await scene.add('shop/web'), undefined, 'it waited for the comparison')
  assert.equal(part.refusal, undefined)
})

test('an agent that starts while the API is away wires pods only when it remembers that there was no policy', async () => {
  await using scene = await Scene.start()
  const { api, kernel } = scene
  api.put(namespacesPath(), namespaceObject('shop'))
  await scene.synced()
  api.goAway()
  await scene.restart()
  assert.equal(await scene.add('shop/one'), undefined)
  assert.deepEqual(
    scene.part.problems.map(({ code }) => code),
    ['CW3306'],
  )
  // rules that an earlier agent left say more than the file
  kernel.hasRules = true
  await scene.restart()
  assert.match(
    (await scene.add('shop/two'))!,
    /the API has not told all pods, namespaces, networkpolicies, clusternetworkpolicies yet/,
  )
  const { why } = scene.part.state
  assert.match(why!, /; until then the rules hold that are in the kernel$/)
  // one reason for all lists is said once
  assert.equal(why!.split('GET ').length, 2)
  kernel.hasRules = false
  scene.store.setSetting('policies', 'some')
  await scene.restart()
  assert.match((await scene.add('shop/three'))!, /has not told all pods/)
  assert.match(scene.part.refusal!.details, /has not told all pods/)
  scene.part.noteEndpoints()
  scene.store.release({ containerId: 'shop/one', ifName: 'eth0' })
  scene.part.noteEndpoints()
  assert.deepEqual(kernel.dropped, ['10.244.1.2'])
  api.comeBack()
  await eventually(() => scene.part.keeper.isLevel, 'level')
  assert.equal(await scene.add('shop/three'), undefined)
})

test('lists that the API refuses are told, and new pods with them', async () => {
  await using scene = await Scene.start()
  const { api } = scene
  api.refuse(networkPoliciesPath(), 403, 'Forbidden')
  api.refuse(clusterNetworkPoliciesPath(), 404, 'NotFound')
  scene.part.start()
  await eventually(() => scene.part.problems.length > 0, 'a problem')
  assert.deepEqual(
    scene.part.problems.map(({ code, object }) => [code, object]),
    [['CW3302', 'resource/networkpolicies.networking.k8s.io']],
  )
  assert.match((await scene.add('shop/web'))!, /has not told all networkpolicies yet: .*403/)
  api.allow(networkPoliciesPath())
  await eventually(() => scene.part.keeper.isLevel, 'level')
  await eventually(() => scene.part.problems.every(({ code }) => code !== 'CW3302'), 'no refusal is told any more')
})
