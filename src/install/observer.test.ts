import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fieldsOf } from '#/model/kubernetes.ts'
import { allIdentities } from './manifests.ts'
import { observerIdentities, observerManifests, sharedIdentities } from './observer.ts'
import { keyOf } from './settings.ts'
import { dualStack as settings } from './testing/settings.ts'

const keys = observerManifests(settings).map(keyOf)

test('observers have these objects, and no definition of Causeway', () => {
  assert.deepEqual(keys, [
    'Namespace causeway-system',
    'ClusterRole causeway-operator',
    'ServiceAccount causeway-system/causeway-observer',
    'ClusterRole causeway-observer',
    'ClusterRoleBinding causeway-observer',
    'DaemonSet causeway-system/causeway-observer',
  ])
})

test('what they share with an installation of Causeway is the same, and nothing else has the same name', () => {
  const ofCauseway = allIdentities(settings.namespace).map(keyOf)
  const shared = sharedIdentities(settings.namespace).map(keyOf)
  assert.deepEqual(
    shared.filter((key) => !ofCauseway.includes(key)),
    [],
  )
  const own = observerIdentities(settings.namespace).map(keyOf)
  assert.deepEqual([...shared, ...own], keys)
  assert.deepEqual(
    own.filter((key) => ofCauseway.includes(key)),
    [],
  )
})

test('an observer has the node network, three capabilities, and no folder of the node to write to but that of its socket', () => {
  const daemonSet = observerManifests(settings).at(-1)!
  const pod = fieldsOf(fieldsOf(fieldsOf(daemonSet['spec'])['template'])['spec'])
  const [container] = (pod['containers'] as unknown[]).map(fieldsOf)
  const security = fieldsOf(container!['securityContext'])
  assert.equal(pod['hostNetwork'], true)
  assert.deepEqual(
    [security['privileged'], security['readOnlyRootFilesystem'], security['capabilities']],
    [false, true, { drop: ['ALL'], add: ['NET_ADMIN', 'SYS_ADMIN', 'NET_RAW'] }],
  )
  assert.deepEqual(
    (container!['volumeMounts'] as unknown[]).map((each) => fieldsOf(each)['mountPath']),
    ['/run/causeway', '/run/netns'],
  )
  const env = (container!['env'] as unknown[]).map((each) => fieldsOf(each)['name'])
  assert.deepEqual(env, ['CAUSEWAY_NODE_NAME', 'CAUSEWAY_PROC_SYS'])
})
