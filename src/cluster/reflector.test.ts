// The reflector against an API that hangs, lies, breaks off and forgets.
import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { createLogger, type Level } from '#/lib/log.ts'
import type { KubeNode } from '#/model/kubernetes.ts'
import type { ApiClient } from './client.ts'
import { clientFor } from './connect.ts'
import { nodesPath } from './paths.ts'
import { Reflector, type ReflectorOptions } from './reflector.ts'
import type { Change } from './store.ts'
import { FakeApi, type FakeRequest, isWatch, sendJson, sendStatus } from './testing/fake-api.ts'
import { eventually, ManualClock } from './testing/manual-clock.ts'
import { timePasser } from './testing/pass-time.ts'

const node = (name: string, resourceVersion: string): KubeNode => ({ metadata: { name, uid: name, resourceVersion } })
const eventLine = (type: string, object: unknown): string => `${JSON.stringify({ type, object })}\n`
const gone = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' }

/** An API with one list and one open watch, both in the hands of the test. */
class WatchApi implements AsyncDisposable {
  items: KubeNode[] = []
  version = '10'
  /** True when it has answered instead. */
  onList: (response: ServerResponse) => boolean = () => false
  onWatch: (response: ServerResponse, request: FakeRequest) => boolean = () => false
  readonly lists: FakeRequest[] = []
  readonly watches: FakeRequest[] = []
  #open: ServerResponse | undefined
  readonly #api: FakeApi
  readonly clock: ManualClock
  readonly told: string[] = []
  readonly logged: string[] = []
  readonly reflector: Reflector<KubeNode>

  readonly #make: () => Reflector<KubeNode>
  readonly passTime: (condition: () => boolean, what: string) => Promise<void>

  private constructor(
    api: FakeApi,
    options: { client: ApiClient; clock: ManualClock; random: () => number; level: Level } & Omit<
      ReflectorOptions,
      'path'
    >,
  ) {
    const { client, clock, random, level, ...rest } = options
    const log = createLogger({ level, write: (line) => this.logged.push(line), now: () => '' })
    this.#api = api
    this.clock = clock
    this.passTime = timePasser(client, clock)
    this.#make = () => new Reflector<KubeNode>({ path: nodesPath(), ...rest }, { client, log, clock, random })
    this.reflector = this.#make()
    this.reflector.subscribe((change) => this.told.push(tell(change)))
    api.handler = (request, response) => this.#serve(request, response)
  }

  static async start(
    options: Omit<ReflectorOptions, 'path'> = {},
    random = () => 0,
    level: Level = 'warn',
  ): Promise<WatchApi> {
    const api = await FakeApi.start(() => {})
    const clock = new ManualClock()
    const client = await clientFor(api.config, { clock, random })
    return new WatchApi(api, { client, clock, random, level, ...options })
  }

  /** One more reflector with the same client. */
  another(): Reflector<KubeNode> {
    return this.#make()
  }

  answerList(response: ServerResponse): void {
    sendJson(response, { kind: 'NodeList', items: this.items, metadata: { resourceVersion: this.version } })
  }

  get names(): string {
    return [...this.reflector.objects.values()]
      .map(({ metadata }) => `${metadata.name}@${metadata.resourceVersion}`)
      .join(' ')
  }

  send(text: string): void {
    assert.ok(this.#open, 'there is an open watch')
    this.#open.write(text)
  }

  end(): void {
    this.#open?.end()
    this.#open = undefined
  }

  cut(): void {
    this.#open = undefined
    this.#api.cut()
  }

  async watching(count: number): Promise<void> {
    await eventually(
      () => this.watches.length === count && this.reflector.status.phase === 'watching',
      `watch ${count}`,
    )
  }

  async backoff(words: RegExp): Promise<void> {
    const { reflector } = this
    await eventually(
      () => reflector.status.phase === 'backoff' && words.test(reflector.status.lastError ?? ''),
      `backoff: ${words}`,
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.reflector[Symbol.asyncDispose]()
    await this.#api[Symbol.asyncDispose]()
  }

  #serve(request: FakeRequest, response: ServerResponse): void {
    if (isWatch(request)) {
      this.watches.push(request)
      if (this.onWatch(response, request)) return
      response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders()
      this.#open = response
      return
    }
    this.lists.push(request)
    if (this.onList(response)) return
    this.answerList(response)
  }
}

function tell(change: Change<KubeNode>): string {
  return change.kind === 'synced' ? 'synced' : `${change.kind} ${change.object.metadata.name}`
}

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
