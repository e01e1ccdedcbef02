import assert from 'node:assert/strict'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { text } from '../json.ts'
import type { KubeObject } from '../objects.ts'
import { StorageError } from './database.ts'
import { Store } from './store.ts'

function temporary(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'causeway-store-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

const object = (name: string, value = ''): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default' },
  data: { value },
})

test('objects and the revision survive a restart', (t) => {
  const stateDir = temporary(t)
  {
    using store = new Store({ stateDir, indexes: {} })
    store.put('configmaps', 'default/a', object('a'))
    store.put('configmaps', 'default/b', object('b'))
    store.remove('configmaps', 'default/b')
  }
  using store = new Store({ stateDir, indexes: {} })
  assert.equal(store.revision, 4)
  assert.deepEqual(
    store
      .bucket('configmaps')
      .all()
      .map(({ key }) => key),
    ['default/a'],
  )
  assert.equal(store.put('configmaps', 'default/c', object('c')).metadata.resourceVersion, '5')
})

test('earlier revisions can be read until they are forgotten', (t) => {
  using store = new Store({ stateDir: temporary(t), indexes: {} })
  store.put('configmaps', 'default/a', object('a', 'first'))
  const past = store.revision
  store.put('configmaps', 'default/a', object('a', 'second'))
  store.put('configmaps', 'default/b', object('b'))
  store.remove('configmaps', 'default/a')
  const bucket = store.bucket('configmaps')
  assert.deepEqual(
    bucket.at(past)?.map((entry) => entry.object['data']),
    [{ value: 'first' }],
  )
  assert.deepEqual(
    bucket.at(past + 1)?.map((entry) => entry.object['data']),
    [{ value: 'second' }],
  )
  assert.deepEqual(
    bucket.all().map(({ key }) => key),
    ['default/b'],
  )
  assert.equal(bucket.history.since(past)?.length, 3)
  assert.equal(bucket.at(0), undefined)
})

test('the history is bounded', (t) => {
  using store = new Store({ stateDir: temporary(t), indexes: {} })
  const start = store.revision
  for (let index = 0; index < 8200; index++) store.put('leases', 'n/a', object('a'))
  const { history } = store.bucket('leases')
  assert.equal(history.since(start), undefined)
  assert.ok(history.floor > start)
  assert.equal(history.since(store.revision - 1000)?.length, 1000)
})

test('indexes follow changes', (t) => {
  using store = new Store({ stateDir: temporary(t), indexes: { pods: { node: ({ spec }) => text(spec) } } })
  store.put('pods', 'default/a', { ...object('a'), spec: 'n1' })
  store.put('pods', 'default/a', { ...object('a'), spec: 'n2' })
  assert.deepEqual(store.bucket('pods').indexed('node', 'n1'), [])
  assert.equal(store.bucket('pods').indexed('node', 'n2')?.length, 1)
  assert.equal(store.bucket('pods').indexed('nothing', 'n2'), undefined)
})

test('nothing acknowledged is lost when the process is killed', { timeout: 30_000 }, async (t) => {
  const stateDir = temporary(t)
  const script = join(stateDir, 'writer.ts')
  const module = JSON.stringify(new URL('store.ts', import.meta.url).href)
  writeFileSync(
    script,
    `import { Store } from ${module}
     const store = new Store({ stateDir: process.argv[2], indexes: {} })
     for (let index = 0; ; index++) {
       store.put('configmaps', 'default/' + index, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: String(index) } })
       process.send(index)
       if (index % 10 === 0) await new Promise(setImmediate)
     }`,
  )
  const child: ChildProcess = fork(script, [stateDir], { stdio: 'ignore' })
  t.after(() => child.kill('SIGKILL'))
  let acknowledged = -1
  child.on('message', (index) => {
    acknowledged = Number(index)
    if (acknowledged >= 300) child.kill('SIGKILL')
  })
  await once(child, 'close')
  assert.ok(acknowledged >= 300)
  using store = new Store({ stateDir, indexes: {} })
  for (let index = 0; index <= acknowledged; index++)
    assert.ok(store.bucket('configmaps').get(`default/${index}`), `object ${index}`)
  assert.ok(store.revision > acknowledged)
})

test('a damaged file is named in the error', (t) => {
  const stateDir = temporary(t)
  writeFileSync(join(stateDir, 'objects.db'), 'this is no database, but it is long enough to be looked at'.repeat(100))
  assert.throws(
    () => new Store({ stateDir, indexes: {} }),
    (error) => error instanceof StorageError && error.message.includes(join(stateDir, 'objects.db')),
  )
})
