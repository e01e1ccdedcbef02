import assert from 'node:assert/strict'
import { type ServerResponse } from 'node:http'
import { test } from 'node:test'
import { clientFor } from '#/cluster/connect.ts'
import { FakeApi, type FakeRequest, isWatch, sendJson, sendStatus } from '#/cluster/testing/fake-api.ts'
import { eventually } from '#/cluster/testing/manual-clock.ts'
import { silent } from '#/lib/log.ts'
import { type KubeObject } from '#/model/kubernetes.ts'
import { BgpObjects } from './objects.ts'

const kinds = ['bgpconfigurations', 'bgppeers', 'bgpnodes'] as const
type Plural = (typeof kinds)[number]
type Given = { readonly spec?: unknown; readonly status?: unknown; readonly annotations?: unknown }

/** An API that has our kinds, unless a test takes them away, and one Secret. */
class CausewayApi implements AsyncDisposable {
  hasKinds = true
  changes = 0
  readonly secretsRead: string[] = []
  readonly nodeSelectors = new Set<string | null>()
  readonly objects: BgpObjects
  readonly #api: FakeApi
  readonly #stored = new Map<Plural, KubeObject[]>(kinds.map((kind) => [kind, []]))
  readonly #watches = new Map<Plural, ServerResponse>()
  #version = 1

  private constructor(api: FakeApi, client: Awaited<ReturnType<typeof clientFor>>) {
    this.#api = api
    api.handler = (request, response) => this.#serve(request, response)
    this.objects = new BgpObjects(
      { nodeName: 'n1', namespace: 'causeway-system' },
      { client, onChange: () => (this.changes += 1), log: silent },
    )
  }

  static async start(): Promise<CausewayApi> {
    const api = await FakeApi.start(() => {})
    return new CausewayApi(api, await clientFor(api.config))
  }

  put(kind: Plural, name: string, given: Given, event: 'ADDED' | 'MODIFIED' = 'ADDED'): void {
    const { annotations, ...rest } = given
    const resourceVersion = String(++this.#version)
    const object = { metadata: { name, uid: name, resourceVersion, annotations }, ...rest } as KubeObject
    const others = this.#stored.get(kind)!.filter(({ metadata }) => metadata.name !== name)
    this.#stored.set(kind, [...others, object])
    this.#watches.get(kind)?.write(`${JSON.stringify({ type: event, object })}\n`)
  }

  async synced(): Promise<void> {
    this.objects.start()
    await eventually(
      () => this.objects.isComplete && (!this.hasKinds || this.#watches.size === kinds.length),
      'in sync',
    )
  }

  #serve(request: FakeRequest, response: ServerResponse): void {
    if (request.path.startsWith('/api/v1/namespaces/')) {
      this.secretsRead.push(request.path)
      return sendJson(response, { metadata: { name: 's' }, data: { password: Buffer.from('p').toString('base64') } })
    }
    const kind = kinds.find((each) => request.path === `/apis/causeway.dev/v1alpha1/${each}`)
    if (kind === undefined || !this.hasKinds) return sendStatus(response, 404, 'NotFound')
    if (kind === 'bgpnodes') this.nodeSelectors.add(request.query.get('fieldSelector'))
    if (!isWatch(request))
      return sendJson(response, { metadata: { resourceVersion: String(this.#version) }, items: this.#stored.get(kind) })
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders()
    this.#watches.set(kind, response)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.objects[Symbol.asyncDispose]()
    await this.#api[Symbol.asyncDispose]()
  }
}

test('a cluster without our kinds has none of our objects', async () => {
  await using api = await CausewayApi.start()
  api.hasKinds = false
  assert.equal(api.objects.isComplete, false)
  await api.synced()
  assert.deepEqual(api.objects.snapshot, { peers: [], secrets: new Map(), problems: [] })
})

test('objects are read, with what is wrong with them, and changes are told', async () => {
  await using api = await CausewayApi.start()
  api.put('bgpconfigurations', 'default', { spec: { asn: 65_001 } })
  api.put('bgppeers', 'tor', { spec: { peerAddress: '192.0.2.1', peerASN: 1 } })
  api.put('bgppeers', 'odd', { spec: { peerAddress: 'x', peerASN: 1 } })
  api.put('bgpnodes', 'n1', { spec: { drained: true } })
  await api.synced()
  const { configuration, peers, bgpNode, problems } = api.objects.snapshot
  assert.deepEqual([configuration?.asn, bgpNode], [65_001, { isDrained: true }])
  assert.deepEqual(
    peers.map(({ name }) => name),
    ['tor'],
  )
  assert.deepEqual(
    problems.map(({ object }) => object),
    ['bgppeer/odd'],
  )
  assert.deepEqual([...api.nodeSelectors], ['metadata.name=n1'], 'no other node is watched')
  const before = api.changes
  api.put('bgppeers', 'tor', { spec: { peerAddress: '192.0.2.2', peerASN: 1 } }, 'MODIFIED')
  await eventually(() => api.changes > before, 'the change')
  assert.equal(String(api.objects.snapshot.peers[0]?.addr), '192.0.2.2')
})

test('a status is no news, an annotation has Secrets read anew', async () => {
  await using api = await CausewayApi.start()
  api.put('bgpnodes', 'n1', { spec: {} })
  api.put('bgppeers', 'tor', { spec: {} })
  await api.synced()
  api.objects.want([{ namespace: 'causeway-system', name: 's', key: 'password' }])
  await eventually(() => api.objects.snapshot.secrets.size === 1, 'the Secret')
  assert.deepEqual(api.secretsRead, ['/api/v1/namespaces/causeway-system/secrets/s'])
  const before = api.changes
  api.put('bgpnodes', 'n1', { spec: {}, status: { role: 'mesh' } }, 'MODIFIED')
  await eventually(() => 'status' in (api.objects.ownObject ?? {}), 'the status is seen')
  api.put('bgppeers', 'tor', { spec: {}, annotations: { changed: 'now' } }, 'MODIFIED')
  await eventually(() => api.secretsRead.length === 2, 'the Secret is read again')
  assert.equal(api.changes, before)
})
