// The namespace of a connectivity test, with the lab's API server: who may take it, what is removed, what is refused.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ApiClient } from '#/cluster/client.ts'
import { connect } from '#/cluster/connect.ts'
import { ApiError, ApiUnreachable } from '#/cluster/errors.ts'
import { namespacePath, namespacesPath } from '#/cluster/paths.ts'
import { aliveAnnotation, holderAnnotation, namespaceObject } from '#/connectivity/objects.ts'
import { holderText } from '#/connectivity/ownership.ts'
import { testNodes } from '#/connectivity/testing.ts'
import { TestServer } from '#/lab/api/testing.ts'
import { writeKubeconfig } from '#/lab/api/kubeconfig.ts'
import { removeLeftover, removeNamespace, takeNamespace } from './test-connectivity-namespace.ts'
import { awaitPods, makeObjects } from './test-connectivity-site.ts'

const name = 'causeway-test'

class Api implements AsyncDisposable {
  readonly said: string[] = []
  readonly calls = {
    say: (line: string) => void this.said.push(line),
    signal: new AbortController().signal,
    stillMs: 600,
  }
  readonly client: ApiClient
  readonly #server: TestServer

  private constructor(server: TestServer, client: ApiClient) {
    this.#server = server
    this.client = client
  }

  static async start(): Promise<Api> {
    const server = await TestServer.start()
    const path = `${server.directory}/kubeconfig`
    writeKubeconfig(path, { server: server.url, ca: server.certificates.ca, token: server.token, name: 'test' })
    return new Api(server, await connect({ kubeconfig: path }))
  }

  async isThere(): Promise<boolean> {
    const { items } = await this.client.list(namespacesPath())
    return items.some(({ metadata }) => metadata.name === name)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]()
    await this.#server[Symbol.asyncDispose]()
  }
}

/** As a test on another machine makes it. */
const elsewhere = namespaceObject(name, {
  [holderAnnotation]: holderText({ host: 'another', boot: 'b', pidNamespace: 'p', pid: 7, started: '1' }),
  [aliveAnnotation]: '0',
})

test('a namespace is taken once, and is gone when it is removed', async () => {
  await using api = await Api.start()
  const taken = await takeNamespace(api.client, name, api.calls)
  try {
    await assert.rejects(
      takeNamespace(api.client, name, api.calls),
      new RegExp(`namespace/causeway-test: a connectivity test of process ${process.pid} on \\S+ runs`),
    )
  } finally {
    await taken.remove(api.calls.say)
  }
  assert.equal(await api.isThere(), false)
  assert.deepEqual(api.said, [])
})

test('one of another machine is left over when nobody renews it', async () => {
  await using api = await Api.start()
  await api.client.create(namespacesPath(), elsewhere)
  assert.equal(await removeLeftover(api.client, name, api.calls), true)
  assert.deepEqual(api.said, ['namespace/causeway-test was left by an earlier test: it is removed first'])
  assert.equal(await api.isThere(), false)
  assert.equal(await removeLeftover(api.client, name, api.calls), false)
})

test('one that is renewed is in use', async () => {
  await using api = await Api.start()
  await api.client.create(namespacesPath(), elsewhere)
  let beats = 0
  const timer = setInterval(() => {
    const annotations = { [aliveAnnotation]: String(++beats) }
    // the last one may be under way when the API ends
    api.client.patch(namespacePath(name), { metadata: { annotations } }, 'merge').catch(() => undefined)
  }, 100)
  try {
    await assert.rejects(removeLeftover(api.client, name, api.calls), /test of process 7 on another runs/)
  } finally {
    clearInterval(timer)
  }
  assert.equal(await api.isThere(), true)
})

test('one without the label is of somebody else', async () => {
  await using api = await Api.start()
  await api.client.create(namespacesPath(), { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  await assert.rejects(takeNamespace(api.client, name, api.calls), /is not of this command.*--namespace NAME/)
  assert.equal(await api.isThere(), true)
})

test('an API that goes away before the end leaves the namespace, and takes nothing of what was tested', async () => {
  await using api = await Api.start()
  const said: string[] = []
  const { client } = api
  const away: Partial<ApiClient> = {
    get: async (path) => client.get(path),
    create: async (path, object) => client.create(path, object),
    delete: async () => Promise.reject(new ApiError('delete', { code: 503, reason: 'Unavailable', detail: 'away' })),
  }
  const taken = await takeNamespace(away as ApiClient, name, api.calls)
  assert.equal(await taken.remove((line) => said.push(line), { awayMs: 300 }), false)
  assert.match(said.join(), /cannot be deleted.*503.*namespace\/causeway-test is left.*--clean/)
  assert.equal(await api.isThere(), true)
})

/** The client, whose first request of each kind is not answered; `isDone`: though it was carried out. */
function shaky(client: ApiClient, isDone: boolean): ApiClient {
  const failing = (verb: 'get' | 'list' | 'create' | 'delete') => {
    let left = 1
    return async (...args: readonly unknown[]): Promise<unknown> => {
      const work = client[verb].bind(client) as (...args: readonly unknown[]) => Promise<unknown>
      if (left-- <= 0) return await work(...args)
      if (isDone) await work(...args).catch(() => undefined)
      throw new ApiUnreachable(verb, new Error('read ECONNRESET'))
    }
  }
  return {
    get: failing('get'),
    list: failing('list'),
    create: failing('create'),
    delete: failing('delete'),
    patch: client.patch.bind(client),
  } as unknown as ApiClient
}

test('an API that is away for a moment, such as one that is restarted, ends no test and leaves nothing', async () => {
  for (const isDone of [false, true]) {
    await using api = await Api.start()
    const client = shaky(api.client, isDone)
    const taken = await takeNamespace(client, name, api.calls)
    try {
      const { signal } = new AbortController()
      const wanted = { namespace: name, nodes: testNodes(1), image: 'i', hasServices: true, hasPolicy: true }
      const { service } = await makeObjects(shaky(api.client, isDone), wanted, signal)
      assert.equal(service?.port, 80)
      const started = await awaitPods(client, { namespace: name, timeoutMs: 10, tell: () => {} }, signal)
      assert.equal(started.wanted, 3)
    } finally {
      // no kubelet ends the pods
      assert.equal(await taken.remove(api.calls.say, { patienceMs: 0 }), true)
    }
    assert.equal(await api.isThere(), false)
    assert.equal(api.said.length, 1)
  }
})

test('where pods may not be deleted without their nodes, their end is waited for all the same', async () => {
  const said: string[] = []
  let looks = 0
  const client = {
    get: async () => {
      if (++looks > 2) throw new ApiError('get', { code: 404, reason: 'NotFound', detail: '' })
      return Promise.resolve({ ...elsewhere, metadata: { ...elsewhere.metadata, uid: 'u' } })
    },
    delete: async (path: string) => (path.includes('/pods/') ? Promise.reject(forbidden('pods')) : undefined),
    list: async () => Promise.resolve({ items: [{ metadata: { name: 'client-1' } }] }),
  } as unknown as ApiClient
  const object = { ...elsewhere, metadata: { ...elsewhere.metadata, uid: 'u' } }
  await removeNamespace(client, object, { say: (line) => void said.push(line), patienceMs: 0 })
  assert.match(said.join('\n'), /some pods do not end.*\npods of namespace\/causeway-test cannot be deleted.*forbidden/)
})

test('only the very namespace is removed, not one that was made in its place', async () => {
  await using api = await Api.start()
  const first = await api.client.create(namespacesPath(), elsewhere)
  await removeNamespace(api.client, first, api.calls)
  await api.client.create(namespacesPath(), elsewhere)
  await removeNamespace(api.client, first, api.calls)
  assert.equal(await api.isThere(), true)
})

test('who asks for an end does not wait for a leftover that hangs in its deletion', async () => {
  const going = {
    ...elsewhere,
    metadata: { ...elsewhere.metadata, uid: 'u', deletionTimestamp: '2026-01-01T00:00:00Z' },
  }
  const hanging = {
    get: async () => Promise.resolve(going),
    delete: async () => Promise.reject(new ApiError('delete', { code: 409, reason: 'Conflict', detail: 'it goes' })),
  } as unknown as ApiClient
  const silent = {
    get: async (_path: string, { signal }: { signal: AbortSignal }) => {
      await sleep(60_000, undefined, { signal })
    },
  } as unknown as ApiClient
  for (const client of [hanging, silent]) {
    const stop = new AbortController()
    const said: string[] = []
    const removed = removeLeftover(client, name, { say: (line) => void said.push(line), signal: stop.signal })
    const reason = new Error('interrupted')
    setTimeout(() => stop.abort(reason), 30)
    const startMs = performance.now()
    await assert.rejects(removed, reason)
    assert.ok(performance.now() - startMs < 1000)
    assert.equal(said.length, client === hanging ? 1 : 0)
  }
})

const forbidden = (what: string): ApiError =>
  new ApiError('POST https://api/…', {
    code: 403,
    reason: 'Forbidden',
    detail: `${what} is forbidden: User "eve" cannot create resource "${what}" in API group "" in the namespace "${name}"`,
  })

test('what the API refuses is told with the object, the words of the API and where the rights are', async () => {
  const refusing = (what: string) =>
    ({
      get: async () => Promise.reject(new ApiError('get', { code: 404, reason: 'NotFound', detail: '' })),
      create: async () => Promise.reject(forbidden(what)),
    }) as unknown as ApiClient
  const { signal } = new AbortController()
  await assert.rejects(
    takeNamespace(refusing('namespaces'), name, { say: () => {}, signal }),
    /^TestRefused: namespace\/causeway-test cannot be made: the API refuses it \(403 Forbidden\): .*User "eve" cannot create.*docs\/connectivity\.md/,
  )
  const wanted = {
    namespace: name,
    nodes: [{ name: 'node-1', addrs: [] }],
    image: 'i',
    hasServices: false,
    hasPolicy: false,
  }
  await assert.rejects(
    makeObjects(refusing('pods'), wanted, signal),
    /pod\/client-1 cannot be made in namespace\/causeway-test: the API refuses it/,
  )
})
