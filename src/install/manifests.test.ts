import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fieldsOf } from '#/model/kubernetes.ts'
import { cleaningPatch } from './clean-up.ts'
import { allIdentities, manifests } from './manifests.ts'
import { keyOf, type Manifest } from './settings.ts'
import { dualStack as settings } from './testing/settings.ts'

function find(all: readonly Manifest[], key: string): Manifest {
  const found = all.find((each) => keyOf(each) === key)
  assert.ok(found, key)
  return found
}

function podOf(manifest: Manifest): Record<string, unknown> {
  return fieldsOf(fieldsOf(fieldsOf(manifest['spec'])['template'])['spec'])
}

function containerOf(manifest: Manifest): Record<string, unknown> {
  const containers = podOf(manifest)['containers'] as unknown[]
  assert.equal(containers.length, 1)
  return fieldsOf(containers[0])
}

function environmentOf(manifest: Manifest): Record<string, unknown> {
  const entries = containerOf(manifest)['env'] as { name: string; value?: string; valueFrom?: unknown }[]
  return Object.fromEntries(entries.map(({ name, value, valueFrom }) => [name, value ?? valueFrom]))
}

test('an installation has these objects, in an order in which each finds what it needs', () => {
  assert.deepEqual(manifests(settings).map(keyOf), [
    'CustomResourceDefinition routings.causeway.dev',
    'CustomResourceDefinition bgpconfigurations.causeway.dev',
    'CustomResourceDefinition bgppeers.causeway.dev',
    'CustomResourceDefinition bgpnodes.causeway.dev',
    'Namespace causeway-system',
    'ServiceAccount causeway-system/causeway-agent',
    'ClusterRole causeway-agent',
    'ClusterRoleBinding causeway-agent',
    'Role causeway-system/causeway-agent',
    'RoleBinding causeway-system/causeway-agent',
    'Role default/causeway-agent',
    'RoleBinding default/causeway-agent',
    'ClusterRole causeway-operator',
    'ServiceAccount causeway-system/causeway-controller',
    'ClusterRole causeway-controller',
    'ClusterRoleBinding causeway-controller',
    'Role causeway-system/causeway-controller',
    'RoleBinding causeway-system/causeway-controller',
    'DaemonSet causeway-system/causeway-agent',
    'Deployment causeway-system/causeway-controller',
  ])
  assert.deepEqual(allIdentities('causeway-system').map(keyOf), manifests(settings).map(keyOf))
})

test('a namespace of the cluster is neither made nor deleted, and no object comes twice', () => {
  for (const namespace of ['kube-system', 'default']) {
    const keys = manifests({ ...settings, namespace }).map(keyOf)
    assert.ok(keys.includes(`ServiceAccount ${namespace}/causeway-agent`))
    assert.ok(!keys.some((key) => key.startsWith('Namespace ')))
    assert.equal(new Set(keys).size, keys.length)
    assert.ok(!allIdentities(namespace).some(({ kind }) => kind === 'Namespace'))
  }
})

test('without the controller nothing of it is there', () => {
  const keys = manifests({ ...settings, controller: 'no' }).map(keyOf)
  assert.deepEqual(
    keys.filter((key) => key.includes('controller')),
    [],
  )
})

test('a controller for statuses alone neither gives pod CIDRs nor writes nodes', () => {
  const all = manifests({ ...settings, controller: 'status' })
  const controller = find(all, 'Deployment causeway-system/causeway-controller')
  assert.equal(environmentOf(controller)['CAUSEWAY_GIVE_POD_CIDRS'], 'no')
  const rules = (manifest: Manifest) => manifest['rules'] as { resources: string[]; verbs: string[] }[]
  const [nodes] = rules(find(all, 'ClusterRole causeway-controller'))
  assert.deepEqual(nodes, { apiGroups: [''], resources: ['nodes'], verbs: ['list', 'watch'] })
})

test('the agent gets its settings, its node and the folders of the node, and no privilege but four', () => {
  const agent = find(manifests(settings), 'DaemonSet causeway-system/causeway-agent')
  assert.deepEqual(environmentOf(agent), {
    CAUSEWAY_NODE_NAME: { fieldRef: { apiVersion: 'v1', fieldPath: 'spec.nodeName' } },
    CAUSEWAY_NAMESPACE: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } },
    CAUSEWAY_CLUSTER_CIDRS: '10.244.0.0/16,fd10:244::/48',
    CAUSEWAY_VNI: '1',
    CAUSEWAY_VXLAN_PORT: '8472',
    CAUSEWAY_HTTP_PORT: '9474',
    CAUSEWAY_CNI_BIN_DIR: '/opt/cni/bin',
    CAUSEWAY_CNI_CONF_DIR: '/etc/cni/net.d',
    CAUSEWAY_PROC_SYS: '/host/proc/sys',
    CAUSEWAY_BPF_DIR: '/host/sys/fs/bpf/causeway',
  })
  const { hostNetwork, priorityClassName, tolerations } = podOf(agent)
  assert.deepEqual(
    [hostNetwork, priorityClassName, tolerations],
    [true, 'system-node-critical', [{ operator: 'Exists' }]],
  )
  const container = containerOf(agent)
  assert.deepEqual(container['securityContext'], {
    privileged: false,
    runAsUser: 0,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'SYS_ADMIN', 'NET_BIND_SERVICE', 'NET_RAW'] },
    seccompProfile: { type: 'RuntimeDefault' },
    seLinuxOptions: { level: 's0', type: 'spc_t' },
  })
  const mounts = container['volumeMounts'] as { name: string; mountPath: string; mountPropagation?: string }[]
  assert.deepEqual(
    mounts.map(({ mountPath }) => mountPath),
    ['/var/lib/causeway', '/run/causeway', '/opt/cni/bin', '/etc/cni/net.d', '/run/netns', '/host/proc/sys/net'],
  )
  assert.deepEqual(
    mounts
      .filter(({ mountPropagation }) => mountPropagation)
      .map(({ name, mountPropagation }) => [name, mountPropagation]),
    [['netns', 'HostToContainer']],
  )
  const volumes = podOf(agent)['volumes'] as { name: string }[]
  assert.deepEqual(
    volumes.map(({ name }) => name),
    mounts.map(({ name }) => name),
  )
  for (const [probe, path] of [
    ['startupProbe', '/healthz'],
    ['livenessProbe', '/healthz'],
    ['readinessProbe', '/readyz'],
  ] as const)
    assert.deepEqual(fieldsOf(container[probe])['httpGet'], { host: '127.0.0.1', port: 9474, path })
})

test("for the eBPF datapath the agent gets the node's bpffs besides, and no further privilege", () => {
  const agentOf = (datapath: string): Manifest =>
    find(
      manifests({ ...settings, given: { ...settings.given, CAUSEWAY_DATAPATH: datapath } }),
      'DaemonSet causeway-system/causeway-agent',
    )
  const [bridge, ebpf] = [agentOf('bridge'), agentOf('ebpf')]
  assert.equal(environmentOf(ebpf)['CAUSEWAY_DATAPATH'], 'ebpf')
  const listOf = (object: Record<string, unknown>, field: string): unknown[] => object[field] as unknown[]
  assert.deepEqual(listOf(podOf(ebpf), 'volumes'), [
    ...listOf(podOf(bridge), 'volumes'),
    { name: 'bpf', hostPath: { path: '/sys/fs/bpf', type: 'Directory' } },
  ])
  assert.deepEqual(listOf(containerOf(ebpf), 'volumeMounts'), [
    ...listOf(containerOf(bridge), 'volumeMounts'),
    { name: 'bpf', mountPath: '/host/sys/fs/bpf', mountPropagation: 'HostToContainer' },
  ])
  assert.deepEqual(containerOf(ebpf)['securityContext'], containerOf(bridge)['securityContext'])
})

test('settings reach agent and controller', () => {
  const all = manifests({
    ...settings,
    given: {
      ...settings.given,
      CAUSEWAY_NODE_MASK_SIZE_IPV4: '26',
      CAUSEWAY_CNI_CHAIN: 'tuning',
      CAUSEWAY_MTU: '1400',
      CAUSEWAY_VXLAN_PORT: '4789',
    },
    apiServer: { host: 'fd00::1', port: '6443' },
  })
  const agent = environmentOf(find(all, 'DaemonSet causeway-system/causeway-agent'))
  assert.equal(agent['CAUSEWAY_CNI_CHAIN'], 'tuning')
  assert.equal(agent['CAUSEWAY_VXLAN_PORT'], '4789')
  assert.equal(agent['CAUSEWAY_MTU'], '1400')
  assert.equal(agent['KUBERNETES_SERVICE_HOST'], 'fd00::1')
  assert.deepEqual(environmentOf(find(all, 'Deployment causeway-system/causeway-controller')), {
    CAUSEWAY_CLUSTER_CIDRS: '10.244.0.0/16,fd10:244::/48',
    CAUSEWAY_GIVE_POD_CIDRS: 'yes',
    CAUSEWAY_LEASE_NAMESPACE: 'causeway-system',
    CAUSEWAY_NODE_MASK_SIZE_IPV4: '26',
    KUBERNETES_SERVICE_HOST: 'fd00::1',
    KUBERNETES_SERVICE_PORT: '6443',
  })
})

test('the controller has no rights on its node', () => {
  const controller = find(manifests(settings), 'Deployment causeway-system/causeway-controller')
  assert.deepEqual(containerOf(controller)['securityContext'], {
    allowPrivilegeEscalation: false,
    runAsNonRoot: true,
    runAsUser: 65_534,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
    seccompProfile: { type: 'RuntimeDefault' },
  })
  assert.equal(podOf(controller)['volumes'], undefined)
})

test('bindings give each role to the account of its own name', () => {
  for (const binding of manifests(settings).filter(({ kind }) => kind.endsWith('Binding'))) {
    const { name } = binding.metadata
    assert.equal(fieldsOf(binding['roleRef'])['name'], name)
    assert.deepEqual(binding['subjects'], [{ kind: 'ServiceAccount', name, namespace: 'causeway-system' }])
  }
})

test('the clean-up runs with all that the agent has, but for its probes, and then waits', () => {
  const agent = find(manifests(settings), 'DaemonSet causeway-system/causeway-agent')
  const { startupProbe: _start, livenessProbe: _live, readinessProbe: _ready, ...own } = containerOf(agent)
  const { initContainers, containers } = cleaningPatch(agent).spec.template.spec
  assert.deepEqual(initContainers, [{ ...own, name: 'clean', args: ['clean', '--files'] }])
  const [gone, done] = containers.map(fieldsOf)
  assert.deepEqual(gone, { name: 'agent', $patch: 'delete' })
  assert.deepEqual([done?.['image'], done?.['command']], ['example/causeway:1', ['sleep', 'infinity']])
  assert.throws(() => cleaningPatch({ metadata: { name: 'x' } }), /has no container "agent"/)
})
