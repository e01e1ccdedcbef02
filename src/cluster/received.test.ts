import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { keyOf, type KubeObject } from '#/model/kubernetes.ts'
import { keepOfRead } from './received.ts'

const object: KubeObject = { metadata: { name: 'web', namespace: 'shop', uid: 'u1', resourceVersion: '7', labels: {} } }

describe('Received', () => {
  test('hands on once what was read, and stays what it is', () => {
    const keep = keepOfRead(({ metadata }) => metadata.labels)
    const received = keep(object)
    assert.equal(received.take(), object.metadata.labels)
    assert.equal(received.take(), undefined)
    assert.equal(keyOf(received), 'shop/web')
    assert.deepEqual([received.metadata.uid, received.metadata.resourceVersion], ['u1', '7'])
    assert.equal(keyOf(keep({ metadata: { name: 'node-1' } })), 'node-1')
  })

  test('is not read again, as a reflector may keep what it kept before', () => {
    let count = 0
    const keep = keepOfRead(() => ++count)
    const received = keep(object)
    assert.equal(keep(received), received)
    assert.equal(received.take(), 1)
  })
})
