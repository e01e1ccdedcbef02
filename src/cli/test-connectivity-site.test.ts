// The objects of a connectivity test, with the lab's API server: what is made, and what is said of pods that do not start.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ApiClient } from '#/cluster/client.ts'
import { connect } from '#/cluster/connect.ts'
import { ApiError } from '#/cluster/errors.ts'
import { namespacesPath, podsPath, podStatusPath, servicesIn } from '#/cluster/paths.ts'
import { namespaceObject } from '#/connectivity/objects.ts'
import { testNodes } from '#/connectivity/testing.ts'
import { writeKubeconfig } from '#/lab/api/kubeconfig.ts'
import { TestServer } from '#/lab/api/testing.ts'
import { type Pod } from '#/model/kubernetes.ts'
import { awaitPods, clusterService, makeObjects } from './test-connectivity-site.ts'

const namespace = 'causeway-test'
const { signal } = new AbortController()
const wanted = { namespace, nodes: testNodes(1), image: 'registry.test/none:1', hasServices: true, hasPolicy: true }
const tell = (): void => {}

/** Calls `use` with a client of an API server that has the namespace, and then with the names of the pods that are made there. */
async function withMade(use: (client: ApiClient, pods: readonly string[]) => Promise<void>): Promise<void> {
  await using server = await TestServer.start()
  const path = `${server.directory}/kubeconfig`
  writeKubeconfig(path, { server: server.url, ca: server.certificates.ca, token: server.token, name: 'test' })
  await using client = await connect({ kubeconfig: path })
  await client.create(namespacesPath(), namespaceObject(namespace, {}))
  await makeObjects(client, wanted, signal)
  const { items } = await client.list<Pod>(podsPath(namespace))
  await use(
    client,
    items.map(({ metadata }) => metadata.name),
  )
}

async function setStatus(client: ApiClient, pod: string, status: object): Promise<void> {
  await client.patch(podStatusPath(namespace, pod), { status }, 'merge')
}

const ready = {
  phase: 'Running',
  podIPs: [{ ip: '10.244.0.2' }, { ip: 'fd10:244::2' }],
  conditions: [{ type: 'Ready', status: 'True' }],
}
const waiting = (reason: string, message: string) => ({
  phase: 'Pending',
  containerStatuses: [
    {
      name: 'listen',
      image: wanted.image,
      imageID: '',
      ready: false,
      restartCount: 0,
      state: { waiting: { reason, message } },
    },
  ],
})

test('pods that are ready are had with their addresses; a Service without an address is one', async () => {
  await withMade(async (client, names) => {
    assert.deepEqual(names, ['client-1', 'server-1', 'walled-1'])
    for (const name of names) await setStatus(client, name, ready)
    const { pods, faults } = await awaitPods(client, { namespace, timeoutMs: 5_000, tell }, signal)
    assert.deepEqual(faults, [])
    assert.deepEqual(pods[0], {
      name: 'causeway-test/client-1',
      node: 'node-1',
      role: 'client',
      addrs: ['10.244.0.2', 'fd10:244::2'],
    })
    const service = await clusterService(client, namespace, 'connectivity')
    assert.deepEqual(service, { name: 'causeway-test/connectivity', addrs: [], port: 80 })
    assert.equal(await clusterService(client, namespace, 'none'), undefined)
  })
})

test("a DNS server's Service has a port of each protocol, and pods on nodes", async () => {
  await withMade(async (client) => {
    const ports = [
      { name: 'metrics', port: 9153 },
      { name: 'dns', protocol: 'UDP', port: 53 },
      { name: 'dns-tcp', protocol: 'TCP', port: 53 },
    ]
    const metadata = { name: 'dns', namespace }
    await client.create(servicesIn(namespace), { apiVersion: 'v1', kind: 'Service', metadata, spec: { ports } })
    const endpoints = ['node-2', 'node-1', 'node-2'].map((nodeName) => ({ addresses: ['10.244.0.9'], nodeName }))
    // which a lab does not have
    const slices = { items: [{ metadata: { name: 'dns-1' }, endpoints }] }
    const cluster = Object.create(client, {
      get: { value: client.get.bind(client) },
      list: { value: async () => Promise.resolve(slices) },
    }) as ApiClient
    assert.deepEqual(await clusterService(cluster, namespace, 'dns'), {
      name: 'causeway-test/dns',
      addrs: [],
      port: 53,
      udpPort: 53,
      backendNodes: ['node-2', 'node-1'],
    })
  })
})

test('a Service that may not be read is told with the reason, not as one that is not there', async () => {
  await withMade(async (client) => {
    const forbidden = new ApiError('GET', { code: 403, reason: 'Forbidden', detail: 'cannot get resource "services"' })
    const refusing = Object.create(client, { get: { value: async () => Promise.reject(forbidden) } }) as ApiClient
    assert.deepEqual(await clusterService(refusing, 'kube-system', 'kube-dns'), {
      whyUnread:
        'the Service kube-system/kube-dns cannot be read: the API refuses it (403 Forbidden): cannot get resource "services"; docs/connectivity.md has the rights that the test needs',
    })
  })
})

test('an image that nobody can pull ends the wait at once, and is named', async () => {
  await withMade(async (client, [first, ...others]) => {
    await setStatus(client, first!, ready)
    for (const name of others) await setStatus(client, name, waiting('ImagePullBackOff', 'Back-off pulling image'))
    const startMs = performance.now()
    const { pods, faults } = await awaitPods(client, { namespace, timeoutMs: 60_000, tell }, signal)
    assert.ok(performance.now() - startMs < 5_000)
    assert.equal(pods.length, 1)
    assert.deepEqual(
      faults.map(({ subject, text }) => `${subject}: ${text}`),
      ['server-1', 'walled-1'].map(
        (name) =>
          `pod causeway-test/${name} on node-1: its image registry.test/none:1 cannot be had: ImagePullBackOff: Back-off pulling image`,
      ),
    )
  })
})

test('what does not start in time is told with what is known of it', async () => {
  await withMade(async (client) => {
    const { pods, faults } = await awaitPods(client, { namespace, timeoutMs: 300, tell }, signal)
    assert.deepEqual(pods, [])
    assert.equal(faults.length, 3)
    assert.match(faults[0]!.text, /nothing is heard of it from its node/)
  })
})
