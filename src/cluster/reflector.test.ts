// The reflector against an API that hangs, lies and breaks off. reflector-outage.test.ts has one that is away, or forgets.
import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { sendStatus } from './testing/fake-api.ts'
import { eventually } from './testing/manual-clock.ts'
import { eventLine, node, WatchApi } from './testing/watch-api.ts'

test('it lists, then watches from the version of the list, and follows every event', async () => {
  await using api = await WatchApi.start({ labelSelector: 'x=y', pageSize: 100 })
  api.items = [node('a', '3'), node('b', '7')]
  assert.equal(api.reflector.inSync, false)
  api.reflector.start()
  await api.watching(1)
  assert.equal(api.reflector.inSync, true)
  assert.equal(api.lists[0]?.query.toString(), 'labelSelector=x%3Dy&limit=100')
  const { query } = api.watches[0]!
  assert.deepEqual(
    ['resourceVersion', 'allowWatchBookmarks', 'labelSelector', 'timeoutSeconds'].map((name) => query.get(name)),
    ['10', 'true', 'x=y', '300'],
  )
  const lines =
    eventLine('ADDED', node('c', '11')) + eventLine('MODIFIED', node('a', '12')) + eventLine('DELETED', node('b', '13'))
  for (const part of lines.match(/.{1,7}|\n/gs)!) api.send(part)
  await eventually(() => api.reflector.status.resourceVersion === '13', 'the last event')
  assert.equal(api.names, 'a@12 c@11')
  assert.deepEqual(api.told, ['added a', 'added b', 'synced', 'added c', 'modified a', 'deleted b'])
  assert.equal(api.reflector.status.lastEventAtMs, api.clock.wallMs())
  assert.equal(api.reflector.status.restarts, 0)
})

test('a watch that ends or breaks goes on from the last version, bookmarks included', async () => {
  await using api = await WatchApi.start()
  api.reflector.start()
  await api.watching(1)
  api.send(eventLine('ADDED', node('a', '11')))
  api.send(eventLine('BOOKMARK', { metadata: { resourceVersion: '20' } }))
  await eventually(() => api.reflector.status.resourceVersion === '20', 'the bookmark')
  await api.clock.advance(6_000)
  api.end()
  await api.watching(2)
  api.send(eventLine('MODIFIED', node('a', '21')).slice(0, 20))
  api.cut()
  await api.backoff(/watch of .* failed/)
  assert.equal(api.names, 'a@11')
  await api.clock.advance(200)
  await api.watching(3)
  assert.deepEqual(
    api.watches.map(({ query }) => query.get('resourceVersion')),
    ['10', '20', '20'],
  )
  assert.equal(api.lists.length, 1)
  assert.equal(api.reflector.status.restarts, 2)
})

test('an end in the middle of an event is a failure, not an end', async () => {
  await using api = await WatchApi.start()
  api.reflector.start()
  await api.watching(1)
  await api.clock.advance(6_000)
  api.send('{"type":"ADDED"')
  api.end()
  await api.backoff(/cut in the middle of an event/)
})

test('lists that fail in any way keep it out of sync and are shown', async () => {
  await using api = await WatchApi.start()
  const failures: [RegExp, (response: ServerResponse) => void][] = [
    [/401 Unauthorized/, (response) => sendStatus(response, 401, 'Unauthorized')],
    [/403 Forbidden/, (response) => sendStatus(response, 403, 'Forbidden')],
    [/500 InternalError/, (response) => sendStatus(response, 500, 'InternalError')],
    [/no JSON/, (response) => response.end('<html>')],
    [/no list/, (response) => response.end('{"items":7}')],
    [/without metadata.name/, (response) => response.end('{"items":[{}],"metadata":{"resourceVersion":"1"}}')],
    [/failed/, (response) => response.destroy()],
    [
      /failed/,
      (response) => response.writeHead(200, { 'content-length': '50' }).write('{"ite', () => response.destroy()),
    ],
  ]
  let answer = failures[0]![1]
  api.onList = (response) => {
    answer(response)
    return true
  }
  api.reflector.start()
  for (const [index, [words, next]] of failures.entries()) {
    answer = next
    if (index > 0) await api.clock.advance(30_000)
    await api.backoff(words)
    await eventually(() => api.clock.nextMs !== undefined, 'the wait')
  }
  assert.equal(api.reflector.inSync, false)
  assert.deepEqual(api.told, [])
  api.onList = () => false
  await api.clock.advance(30_000)
  await api.watching(1)
  assert.equal(api.reflector.inSync, true)
})

test('a list and a watch that hang are given up after 30 s', async () => {
  await using api = await WatchApi.start()
  api.onList = () => true
  api.reflector.start()
  await eventually(() => api.lists.length === 1, 'the list')
  await api.clock.advance(30_000)
  await api.backoff(/no answer within 30 s/)
  api.onList = () => false
  api.onWatch = () => true
  await api.clock.advance(200)
  await eventually(() => api.watches.length === 1, 'the watch')
  await api.clock.advance(30_000)
  await eventually(() => api.reflector.inSync, 'in sync by the list')
  await api.backoff(/no answer within 30 s/)
})

test('a watch that outlives the requested time counts as dead', async () => {
  await using api = await WatchApi.start()
  api.reflector.start()
  await api.watching(1)
  await api.clock.advance(329_000)
  assert.equal(api.reflector.status.phase, 'watching')
  await api.clock.advance(1_000)
  await api.backoff(/not ended within 300 s as asked/)
  await api.clock.advance(200)
  await api.watching(2)
})

test('garbage in a watch never crashes it, and if it does not stop a list is tried', async () => {
  await using api = await WatchApi.start()
  api.reflector.start()
  const garbage = ['hello\n', '{"type":"ADDED","object":{"metadata":{"resourceVersion":"11"}}}\n', '[1]\n']
  for (const [index, line] of garbage.entries()) {
    await api.watching(index + 1)
    api.send(line)
    await api.backoff(/200 InvalidResponse: the server sent/)
    await eventually(() => api.clock.nextMs !== undefined, 'the wait')
    await api.clock.advance(api.clock.nextMs!)
  }
  await api.watching(4)
  assert.equal(api.lists.length, 2)
})

test('a server that ends every watch at once is not hammered', async () => {
  await using api = await WatchApi.start()
  api.onWatch = (response) => {
    response.end()
    return true
  }
  api.reflector.start()
  await api.backoff(/ended too early/)
  assert.equal(api.watches.length, 1)
})

test('Retry-After of a refused watch is waited out', async () => {
  await using api = await WatchApi.start()
  api.onWatch = (response) => {
    api.onWatch = () => false
    sendStatus(response, 429, 'TooManyRequests', { 'retry-after': '7' })
    return true
  }
  api.reflector.start()
  await api.backoff(/429/)
  await eventually(() => api.clock.nextMs === 7_000, 'the wait of 7 s')
})

test('a kind that the cluster may lack has no objects; one that disappears is given up only after half a minute', async () => {
  await using api = await WatchApi.start({ mayBeUndefined: true })
  let isUndefined = true
  api.onList = (response) => {
    if (isUndefined) sendStatus(response, 404, 'NotFound')
    return isUndefined
  }
  api.onWatch = api.onList
  api.reflector.start()
  await api.backoff(/404 NotFound/)
  assert.equal(api.reflector.inSync, true)
  assert.equal(api.names, '')
  isUndefined = false
  api.items = [node('a', '3')]
  await api.clock.advance(200)
  await api.watching(1)
  assert.equal(api.names, 'a@3')
  // an API server that starts: it does not know the kind for a moment
  isUndefined = true
  api.cut()
  await api.backoff(/./)
  for (let second = 0; second < 20; second++) await api.clock.advance(1_000)
  await api.backoff(/404 NotFound/)
  assert.equal(api.names, 'a@3')
  await eventually(() => {
    void api.clock.advance(1_000)
    return api.reflector.objects.size === 0
  }, 'the end of the kind')
  assert.deepEqual(api.told, ['synced', 'added a', 'synced', 'deleted a', 'synced'])
  assert.ok(!api.logged.join().includes('404'), 'no news to anybody')
})

test('jumps of the wall clock change nothing', async () => {
  await using api = await WatchApi.start()
  api.reflector.start()
  await api.watching(1)
  for (const jumpMs of [86_400_000, -400 * 86_400_000]) {
    api.clock.jumpWall(jumpMs)
    await api.clock.advance(1_000)
  }
  api.send(eventLine('ADDED', node('a', '11')))
  await eventually(() => api.names === 'a@11', 'the event')
  assert.equal(api.watches.length, 1)
  assert.equal(api.reflector.status.phase, 'watching')
})

test('stopping ends it whatever it is doing, and it may be stopped before it started', async () => {
  for (const moment of ['before', 'listing', 'watching', 'backoff'] as const) {
    await using api = await WatchApi.start()
    if (moment === 'listing') api.onList = () => true
    if (moment === 'backoff') {
      api.onList = (response) => {
        sendStatus(response, 500, 'InternalError')
        return true
      }
    }
    if (moment !== 'before') api.reflector.start()
    if (moment === 'listing') await eventually(() => api.lists.length === 1, 'the list')
    if (moment === 'watching') await api.watching(1)
    if (moment === 'backoff') await api.backoff(/500/)
    await api.reflector[Symbol.asyncDispose]()
    assert.equal(api.clock.nextMs, undefined, `${moment}: no timer is left`)
  }
})
