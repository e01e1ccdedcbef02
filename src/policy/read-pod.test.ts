import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Pod } from '#/model/kubernetes.ts'
import { readPolicyNamespace } from './read-namespace.ts'
import { PolicyPodReader, readPolicyPod } from './read-pod.ts'

const pod: Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    namespace: 'shop',
    name: 'db-0',
    uid: 'u1',
    resourceVersion: '7',
    creationTimestamp: '2026-01-01T00:00:00Z',
    deletionTimestamp: '2026-01-01T00:00:00Z',
    labels: { app: 'db' },
    annotations: { 'kubernetes.io/config.hash': 'c1', other: 'x' },
  },
  spec: {
    nodeName: 'n1',
    serviceAccountName: 'default',
    containers: [
      { name: 'db', image: 'db', ports: [{ name: 'sql', containerPort: 5432, protocol: 'TCP' }, { containerPort: 1 }] },
      {
        name: 'dns',
        ports: [
          { name: 'dns', containerPort: 53, protocol: 'UDP' },
          { name: 'odd', containerPort: 'x' },
        ],
      },
    ],
    initContainers: [
      { name: 'setup', ports: [{ name: 'setup', containerPort: 2 }] },
      { name: 'proxy', restartPolicy: 'Always', ports: [{ name: 'proxy', containerPort: 3 }] },
    ],
  },
  status: {
    phase: 'Running',
    hostIP: '192.0.2.1',
    podIP: '10.0.0.1',
    podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }],
    containerStatuses: [{}],
  },
}

test('a pod is read with the ports of containers that run as long as it does', () => {
  assert.deepEqual(JSON.parse(JSON.stringify(readPolicyPod(pod))), {
    namespace: 'shop',
    name: 'db-0',
    uid: 'u1',
    configUid: 'c1',
    node: 'n1',
    labels: { app: 'db' },
    addrs: ['10.0.0.1', 'fd00::1'],
    namedPorts: [
      { name: 'sql', protocol: 'TCP', port: 5432 },
      { name: 'dns', protocol: 'UDP', port: 53 },
      { name: 'proxy', protocol: 'TCP', port: 3 },
    ],
    isHostNetwork: false,
    hasEnded: false,
  })
})

test('a pod that is being deleted counts until it has ended', () => {
  const hasEnded = (phase: string): boolean => readPolicyPod({ ...pod, status: { phase } }).hasEnded
  assert.deepEqual(['Pending', 'Running', 'Unknown', 'Succeeded', 'Failed'].map(hasEnded), [
    false,
    false,
    false,
    true,
    true,
  ])
})

test('pods share what many of them have', () => {
  const { read } = new PolicyPodReader()
  const ports = [{ name: 'c', ports: [{ name: 'sql', containerPort: 5432 }] }]
  const podOf = (name: string): Pod => ({ metadata: { namespace: 'db', name }, spec: { containers: ports } })
  const [one, other] = [read(podOf('a')), read(podOf('b'))]
  assert.deepEqual(one, readPolicyPod(podOf('a')))
  assert.equal(one.namedPorts, other.namedPorts)
  assert.notEqual(one.name, other.name)
})

test('no JSON makes the readers of pods and namespaces throw, and sharing changes nothing', () => {
  const holds = fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), (spec, status, labels) => {
    const odd: Pod = { metadata: { name: 'odd', labels, annotations: labels }, spec, status }
    assert.deepEqual(new PolicyPodReader().read(odd), readPolicyPod(odd))
    readPolicyNamespace(odd)
  })
  fc.assert(holds, { numRuns: 500 })
})

test('a namespace is audited when its annotation says so', () => {
  const read = (annotations: unknown): unknown =>
    readPolicyNamespace({ metadata: { name: 'shop', labels: { team: 'a' }, annotations } })
  assert.deepEqual(read({ 'causeway.dev/network-policy': 'audit' }), {
    name: 'shop',
    labels: { team: 'a' },
    isAudited: true,
  })
  assert.deepEqual(read({ 'causeway.dev/network-policy': 'Audit' }), {
    name: 'shop',
    labels: { team: 'a' },
    isAudited: false,
  })
  assert.deepEqual(read(undefined), { name: 'shop', labels: { team: 'a' }, isAudited: false })
})
