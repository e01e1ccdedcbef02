import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientFor } from '#/cluster/connect.ts'
import { FakeApi, sendJson, sendStatus } from '#/cluster/testing/fake-api.ts'
import { type KubeObject } from '#/model/kubernetes.ts'
import { UsageError } from './args.ts'
import { backendsOf, serviceEnds } from './policy-service.ts'

const service = {
  metadata: { namespace: 'shop', name: 'api' },
  spec: {
    clusterIP: '10.96.0.10',
    ports: [
      { name: 'http', port: 80, targetPort: 'web' },
      { name: 'dns', port: 53, protocol: 'UDP' },
    ],
  },
} as KubeObject

const slice = {
  metadata: { namespace: 'shop', name: 'api-x' },
  ports: [
    { name: 'http', port: 8080 },
    { name: 'dns', port: 5353 },
  ],
  endpoints: [
    { addresses: ['10.244.1.5'], conditions: { ready: true } },
    { addresses: ['10.244.1.6'], conditions: { ready: false } },
    { addresses: ['10.244.2.7'], conditions: {} },
    { addresses: 'none' },
  ],
} as KubeObject

test('the ends of a Service are those that are ready, at the port there', () => {
  const ends = (port?: string, protocol?: string) => backendsOf(service, [slice], { port, protocol }).backends
  assert.deepEqual(ends('80'), [
    { to: '10.244.1.5', port: '8080' },
    { to: '10.244.2.7', port: '8080' },
  ])
  assert.deepEqual(ends('53', 'udp')[0], { to: '10.244.1.5', port: '5353' })
  assert.deepEqual(ends()[0], { to: '10.244.1.5' })
  assert.throws(() => ends('53'), new UsageError('Service shop/api has no port TCP 53; it has TCP 80, UDP 53'))
  assert.deepEqual(backendsOf(service, [], { port: '80' }).backends, [])
})

test('a Service is found by name, in default by its name alone, and by its address', async () => {
  const asked: string[] = []
  await using api = await FakeApi.start(({ path, query }, response) => {
    asked.push(`${path.split('?')[0]} ${query.get('fieldSelector') ?? query.get('labelSelector') ?? ''}`.trim())
    if (path.includes('/endpointslices'))
      return sendJson(response, { kind: 'List', metadata: { resourceVersion: '1' }, items: [slice] })
    if (path.startsWith('/api/v1/services'))
      return sendJson(response, { kind: 'List', metadata: { resourceVersion: '1' }, items: [service] })
    if (path.endsWith('/shop/services/api')) return sendJson(response, service)
    sendStatus(response, 404, 'NotFound')
  })
  await using client = await clientFor(api.config)
  for (const name of ['shop/api', '10.96.0.10']) {
    const found = await serviceEnds(client, name, { port: '80' })
    assert.deepEqual([found?.service, found?.backends.length], ['shop/api', 2], name)
  }
  assert.equal(await serviceEnds(client, 'api', {}), undefined)
  assert.equal(await serviceEnds(client, 'a/b/c', {}), undefined)
  assert.deepEqual(asked, [
    '/api/v1/namespaces/shop/services/api',
    '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices kubernetes.io/service-name=api',
    '/api/v1/services spec.clusterIP=10.96.0.10',
    '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices kubernetes.io/service-name=api',
    '/api/v1/namespaces/default/services/api',
  ])
})
