import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dig } from './json.ts'
import { TestServer } from './testing.ts'

test('a watcher gets all objects that there are at the start, however much that is', async () => {
  await using server = await TestServer.start()
  const maps = '/api/v1/namespaces/default/configmaps'
  const value = 'x'.repeat(900_000)
  // more than a watcher may be behind
  const names = Array.from({ length: 20 }, (_, index) => `large-${String(index).padStart(2, '0')}`)
  for (const name of names) {
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { value } }
    assert.equal((await server.call(maps, { method: 'POST', body })).code, 201)
  }
  const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true'
  const events = await server.watch(`${maps}?${query}`, (all) => dig(all.at(-1), 'type') === 'BOOKMARK')
  assert.deepEqual(
    events.map((event) => dig(event, 'object', 'metadata', 'name')),
    [...names, undefined],
  )
})
