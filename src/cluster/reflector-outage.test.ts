// The reflector against an API that is away for a while, refuses for a while, or forgets the versions of its objects.
import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { sendStatus } from './testing/fake-api.ts'
import { eventually } from './testing/manual-clock.ts'
import { eventLine, node, WatchApi } from './testing/watch-api.ts'

const gone = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' }

for (const way of ['an ERROR event', 'HTTP'] as const) {
  test(`410 as ${way}: lists anew at once and tells what changed meanwhile`, async () => {
    await using api = await WatchApi.start()
    api.items = [node('a', '1'), node('b', '2')]
    api.reflector.start()
    await api.watching(1)
    api.items = [node('b', '30'), node('c', '31')]
    api.version = '40'
    const held: ServerResponse[] = []
    api.onList = (response) => held.push(response) > 0
    if (way === 'HTTP') {
      api.onWatch = (response) => {
        api.onWatch = () => false
        sendStatus(response, 410, 'Gone')
        return true
      }
      api.cut()
      await api.backoff(/failed/)
      await api.clock.advance(200)
    } else {
      api.send(eventLine('ERROR', gone))
      // all agents of a cluster may meet this at the same moment: each waits a random part of the pace, here none
      await eventually(() => api.clock.nextMs === 0, 'the spread')
      await api.clock.advance(0)
    }
    await eventually(() => held.length === 1, 'the list')
    assert.equal(api.names, 'a@1 b@2', 'nothing is dropped before the new list is there')
    api.answerList(held[0]!)
    await api.watching(way === 'HTTP' ? 3 : 2)
    assert.equal(api.watches.at(-1)?.query.get('resourceVersion'), '40')
    assert.deepEqual(api.told.slice(3), ['deleted a', 'modified b', 'added c', 'synced'])
    assert.ok(!api.logged.join().includes('410'), 'nobody need look into that')
  })
}

test('a version that is gone again and again is no reason to list without pause', async () => {
  await using api = await WatchApi.start()
  api.onWatch = (response) => {
    sendStatus(response, 410, 'Expired')
    return true
  }
  api.reflector.start()
  await eventually(() => api.clock.nextMs === 0, 'the spread')
  await api.clock.advance(0)
  await api.backoff(/410/)
  assert.equal(api.lists.length, 2)
  await eventually(() => api.clock.nextMs === 100, 'the wait')
})

test('an API that refuses for long: objects stay, inSync stays, the backoff grows to 30 s and starts over after health', async () => {
  await using api = await WatchApi.start()
  api.items = [node('a', '1')]
  api.reflector.start()
  await api.watching(1)
  api.onWatch = (response) => {
    sendStatus(response, 429, 'TooManyRequests')
    return true
  }
  api.cut()
  const waits: number[] = []
  for (let round = 0; round < 10; round++) {
    await eventually(
      () => api.watches.length === 1 + round && api.reflector.status.phase === 'backoff',
      `round ${round}`,
    )
    // not the time limit of the request, which may still be under way
    await eventually(() => (api.clock.nextMs ?? 30_000) < 30_000, 'the wait')
    waits.push(api.clock.nextMs!)
    await api.clock.advance(api.clock.nextMs!)
  }
  assert.deepEqual(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 15_000, 15_000])
  assert.equal(api.names, 'a@1')
  assert.equal(api.reflector.inSync, true)
  assert.equal(api.lists.length, 1, 'a loaded server is not asked for lists')
  assert.equal(api.logged.length, 2, 'two different errors are told once each')
  await eventually(() => api.watches.length === 11 && api.clock.nextMs !== undefined, 'the eleventh')
  api.onWatch = () => false
  await api.clock.advance(15_000)
  await api.watching(12)
  assert.match(api.reflector.status.lastError ?? '', /429/)
  await api.clock.advance(5_000)
  assert.equal(api.reflector.status.lastError, undefined)
  api.cut()
  await api.backoff(/failed/)
  await eventually(() => api.clock.nextMs === 100, 'a short wait again')
})

const away: Record<string, (response: ServerResponse) => void> = {
  'no connection': (response) => response.destroy(),
  'a proxy without a server (502)': (response) => response.writeHead(502).end('<html>'),
  'a proxy without a server (503)': (response) => response.writeHead(503).end('<html>'),
  'a server that is not ready': (response) => sendStatus(response, 503, 'ServiceUnavailable'),
}

for (const [what, answer] of Object.entries(away)) {
  test(`an API away for a minute, ${what}: in sync within 3 s of its return, though it has forgotten the version`, async () => {
    // the longest of all random waits
    await using api = await WatchApi.start({}, () => 0.999)
    api.items = [node('a', '1')]
    api.reflector.start()
    await api.watching(1)
    api.onWatch = (response) => {
      answer(response)
      return true
    }
    api.cut()
    const startMs = api.clock.monotonicMs()
    await api.passTime(() => api.clock.monotonicMs() - startMs >= 60_000, 'the minute')
    const { length: asked } = api.watches
    assert.ok(asked > 55 && asked < 70, `asked ${asked} times, about once a second`)
    assert.equal(api.lists.length, 1, 'who does not answer a watch is not asked for a list')
    api.items = [node('b', '30')]
    api.onWatch = (response, { query }) => {
      const isForgotten = query.get('resourceVersion') === '10'
      if (isForgotten) sendStatus(response, 410, 'Expired')
      return isForgotten
    }
    api.version = '40'
    const returnMs = api.clock.monotonicMs()
    await api.passTime(() => api.names === 'b@30', 'the list')
    assert.ok(api.clock.monotonicMs() - returnMs <= 3_000, `${api.clock.monotonicMs() - returnMs} ms`)
  })
}

test('of several reflectors one asks at a time while the API is away, and all are in sync within 3 s of its return', async () => {
  await using api = await WatchApi.start({}, () => 0.999)
  api.items = [node('a', '1')]
  await using others = new AsyncDisposableStack()
  const reflectors = [api.reflector, ...Array.from({ length: 6 }, () => others.use(api.another()))]
  for (const each of reflectors) each.start()
  const allWatch = (): boolean => reflectors.every(({ status }) => status.phase === 'watching')
  await eventually(allWatch, 'all watch')
  api.onWatch = (response) => {
    response.destroy()
    return true
  }
  api.cut()
  const startMs = api.clock.monotonicMs()
  const { length: before } = api.watches
  await api.passTime(() => api.clock.monotonicMs() - startMs >= 60_000, 'the minute')
  const asked = api.watches.length - before
  assert.ok(asked > 55 && asked < 80, `asked ${asked} times, about once a second, and each once when it lost its watch`)
  api.onWatch = () => false
  const returnMs = api.clock.monotonicMs()
  await api.passTime(allWatch, 'all watch')
  assert.ok(api.clock.monotonicMs() - returnMs <= 3_000, `${api.clock.monotonicMs() - returnMs} ms`)
})

test('when the API returns, a wait that had grown because it refused before ends too', async () => {
  await using api = await WatchApi.start()
  await using other = api.another()
  api.onWatch = (response) => {
    sendStatus(response, 403, 'Forbidden')
    return true
  }
  api.reflector.start()
  for (const waitMs of [100, 200, 400, 800, 1_600, 3_200, 6_400]) {
    await eventually(() => api.clock.nextMs === waitMs, `the wait of ${waitMs} ms`)
    await api.clock.advance(waitMs)
  }
  await eventually(() => api.clock.nextMs === 12_800, 'a long wait')
  // another one, which loses the API and finds it again
  api.onWatch = (response) => {
    response.destroy()
    return true
  }
  other.start()
  await eventually(() => other.status.phase === 'backoff' && api.clock.nextMs === 100, 'its wait')
  api.onWatch = () => false
  await api.clock.advance(100)
  await eventually(() => other.status.phase === 'watching', 'its return')
  await api.clock.advance(0)
  await eventually(() => api.reflector.status.phase === 'watching', 'the other one')
})

test('the end of an outage is told once, as its beginning was', async () => {
  await using api = await WatchApi.start({}, () => 0, 'info')
  api.reflector.start()
  await api.watching(1)
  await api.clock.advance(5_000)
  assert.deepEqual(api.logged, [])
  api.cut()
  await api.backoff(/failed/)
  await api.clock.advance(100)
  await api.watching(2)
  await api.clock.advance(5_000)
  assert.deepEqual(
    api.logged.map((line) => /"message":"([^"]+)"/.exec(line)?.[1]),
    ['lost the API, keeping what is known', 'watches the API again'],
  )
})
