import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Pod } from '#/model/kubernetes.ts'
import { podObjects } from './objects.ts'
import { isHopeless, isReady, whyNotReady } from './pod-state.ts'
import { testNodes } from './testing.ts'

const [object] = podObjects('causeway-test', testNodes(1), 'registry.test/none:1')

function pod(status: unknown): Pod {
  return { ...object!, metadata: { ...object!.metadata, uid: 'u1' }, status }
}

const waiting = (reason: string, message = ''): Pod =>
  pod({ containerStatuses: [{ image: 'registry.test/none:1', state: { waiting: { reason, message } } }] })

const event = (message: string, uid = 'u1', lastTimestamp = '2026-01-01T00:00:00Z') => ({
  metadata: { name: 'e' },
  type: 'Warning',
  reason: 'FailedCreatePodSandBox',
  message,
  lastTimestamp,
  involvedObject: { kind: 'Pod', name: 'client-1', uid },
})

test('a pod is ready with an address, and not before', () => {
  const conditions = [{ type: 'Ready', status: 'True' }]
  assert.equal(isReady(pod({ conditions })), false)
  assert.equal(isReady(pod({ conditions, podIPs: [{ ip: '10.244.0.2' }] })), true)
})

test('an image that cannot be had is named, with the option that names another', () => {
  const stuck = waiting('ImagePullBackOff', 'Back-off pulling image')
  assert.equal(isHopeless(stuck), true)
  // the first failure of a registry may be the only one
  assert.equal(isHopeless(waiting('ErrImagePull')), false)
  const { text, remedy } = whyNotReady(stuck, [])
  assert.equal(text, 'its image registry.test/none:1 cannot be had: ImagePullBackOff: Back-off pulling image')
  assert.match(remedy!, /--image/)
})

test('otherwise the last warning about this pod says why', () => {
  const starting = waiting('ContainerCreating')
  assert.equal(isHopeless(starting), false)
  const events = [event('first'), event('last', 'u1', '2026-01-01T00:00:09Z'), event('of an earlier pod', 'u0')]
  assert.equal(whyNotReady(starting, events).text, 'FailedCreatePodSandBox: last')
  assert.match(whyNotReady(pod({}), []).text, /nothing is heard of it/)
  assert.equal(isHopeless(pod({ phase: 'Failed' })), true)
})

test('pods are as Pod Security wants them in the strictest of its profiles', () => {
  for (const { spec } of podObjects('n', testNodes(3), 'image')) {
    const [container] = spec.containers
    assert.equal(spec.securityContext.runAsNonRoot, true)
    assert.equal(spec.securityContext.seccompProfile.type, 'RuntimeDefault')
    assert.deepEqual(container!.securityContext.capabilities, { drop: ['ALL'] })
    assert.equal(container!.securityContext.allowPrivilegeEscalation, false)
    assert.equal(spec.automountServiceAccountToken, false)
  }
})
