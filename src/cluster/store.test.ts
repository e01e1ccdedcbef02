import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { silent } from '#/lib/log.ts'
import { isKubeObject, keyOf, type KubeObject } from '#/model/kubernetes.ts'
import { type Change, ObjectStore } from './store.ts'

const object = (name: string, resourceVersion: string, uid = name): KubeObject => ({
  metadata: { name, uid, resourceVersion },
})
const tell = (change: Change<KubeObject>): string =>
  change.kind === 'synced' ? 'synced' : `${change.kind} ${change.key}@${change.object.metadata.resourceVersion}`

function storeOf(): { store: ObjectStore<KubeObject>; told: string[] } {
  const store = new ObjectStore<KubeObject>({ log: silent })
  const told: string[] = []
  store.subscribe((change) => told.push(tell(change)))
  return { store, told }
}

function replaceAll(store: ObjectStore<KubeObject>, items: readonly KubeObject[]): void {
  for (const _ of store.replaceAll(items));
}

test('a list notifies of what is new to the store, and that it is complete', () => {
  const { store, told } = storeOf()
  replaceAll(store, [object('a', '1'), object('b', '1')])
  replaceAll(store, [object('b', '1'), object('c', '2'), object('a', '3')])
  replaceAll(store, [object('c', '2')])
  assert.deepEqual(told, [
    'added a@1',
    'added b@1',
    'synced',
    'added c@2',
    'modified a@3',
    'synced',
    'deleted a@3',
    'deleted b@1',
    'synced',
  ])
})

test('an object made anew under its name is a deleted and an added one', () => {
  const { store, told } = storeOf()
  store.put(object('a', '1', 'first'))
  store.put(object('a', '5', 'second'))
  store.remove(object('a', '4', 'first'))
  assert.deepEqual(told, ['added a@1', 'deleted a@1', 'added a@5'])
  assert.equal(store.objects.size, 1)
})

test('a listener that throws costs the others nothing', () => {
  const { store, told } = storeOf()
  store.subscribe(() => {
    throw new Error('bug')
  })
  const later: string[] = []
  const unsubscribe = store.subscribe((change) => later.push(change.kind))
  store.put(object('a', '1'))
  unsubscribe()
  store.put(object('a', '2'))
  assert.deepEqual([told.length, later], [2, ['added']])
})

test('managedFields are not kept', () => {
  const { store } = storeOf()
  const received: unknown = JSON.parse('{"metadata":{"name":"a","namespace":"n","managedFields":[1]},"spec":{"x":1}}')
  assert.ok(isKubeObject(received))
  store.put(received)
  assert.deepEqual(store.objects.get('n/a'), { metadata: { name: 'a', namespace: 'n' }, spec: { x: 1 } })
})

test('a listener that applies the changes always has what the store has', () => {
  const any = fc.record({ name: fc.constantFrom('a', 'b', 'c'), version: fc.nat(3), uid: fc.constantFrom('u', 'v') })
  const anyObject = any.map(({ name, version, uid }) => object(name, String(version), uid))
  const step = fc.oneof(
    anyObject.map((each) => ({ put: each })),
    anyObject.map((each) => ({ remove: each })),
    fc.uniqueArray(anyObject, { selector: keyOf }).map((list) => ({ list })),
  )
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const store = new ObjectStore<KubeObject>({ log: silent })
      const copy = new Map<string, KubeObject>()
      store.subscribe((change) => {
        if (change.kind === 'synced') return
        assert.equal(copy.has(change.key), change.kind !== 'added')
        if (change.kind === 'deleted') copy.delete(change.key)
        else copy.set(change.key, change.object)
      })
      for (const each of steps) {
        if ('put' in each) store.put(each.put)
        else if ('remove' in each) store.remove(each.remove)
        else replaceAll(store, each.list)
        assert.deepEqual(Object.fromEntries(copy), Object.fromEntries(store.objects))
      }
    }),
  )
})
