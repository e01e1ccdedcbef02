// The reflector against an API that hangs, lies, breaks off and forgets.
import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { createLogger } from '#/lib/log.ts'
import type { KubeNode } from '#/model/kubernetes.ts'
import type { ApiClient } from './client.ts'
import { clientFor } from './connect.ts'
import { nodesPath } from './paths.ts'
import { Reflector, type ReflectorOptions } from './reflector.ts'
import type { Change } from './store.ts'
import { FakeApi, type FakeRequest, isWatch, sendJson, sendStatus } from './testing/fake-api.ts'
import { eventually, ManualClock } from './testing/manual-clock.ts'

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

  private constructor(
    api: FakeApi,
    options: { client: ApiClient; clock: ManualClock } & Omit<ReflectorOptions, 'path'>,
  ) {
    const { client, clock, ...rest } = options
    const log = createLogger({ level: 'warn', write: (line) => this.logged.push(line), now: () => '' })
    this.#api = api
    this.clock = clock
    this.reflector = new Reflector<KubeNode>({ path: nodesPath(), ...rest }, { client, log, clock, random: () => 0 })
    this.reflector.subscribe((change) => this.told.push(tell(change)))
    api.handler = (request, response) => this.#serve(request, response)
  }

  static async start(options: Omit<ReflectorOptions, 'path'> = {}): Promise<WatchApi> {
    const api = await FakeApi.start(() => {})
    const clock = new ManualClock()
    const client = await clientFor(api.config, { clock, random: () => 0 })
    return new WatchApi(api, { client, clock, ...options })
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
    sendJson(response, { kind: 'NodeList', items: this.items, metadata: { resourceVersion: this.version } })
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
  test(`410 as ${way}: lists anew and tells what changed meanwhile`, async () => {
    await using api = await WatchApi.start()
    api.items = [node('a', '1'), node('b', '2')]
    api.reflector.start()
    await api.watching(1)
    api.items = [node('b', '30'), node('c', '31')]
    api.version = '40'
    if (way === 'HTTP') {
      api.onWatch = (response) => {
        api.onWatch = () => false
        sendStatus(response, 410, 'Gone')
        return true
      }
      api.cut()
      await api.backoff(/failed/)
      await api.clock.advance(200)
    } else api.send(eventLine('ERROR', gone))
    await api.backoff(/410/)
    assert.equal(api.names, 'a@1 b@2', 'nothing is dropped before the new list is there')
    await api.clock.advance(400)
    await api.watching(way === 'HTTP' ? 3 : 2)
    assert.equal(api.watches.at(-1)?.query.get('resourceVersion'), '40')
    assert.deepEqual(api.told.slice(3), ['deleted a', 'modified b', 'added c', 'synced'])
  })
}

test('an API away for long: objects stay, inSync stays, the backoff grows to 30 s and starts over after health', async () => {
  await using api = await WatchApi.start()
  api.items = [node('a', '1')]
  api.reflector.start()
  await api.watching(1)
  api.onWatch = (response) => {
    sendStatus(response, 503, 'ServiceUnavailable')
    return true
  }
  api.cut()
  const waits: number[] = []
  for (let round = 0; round < 10; round++) {
    await eventually(
      () => api.watches.length === 1 + round && api.reflector.status.phase === 'backoff',
      `round ${round}`,
    )
    await eventually(() => api.clock.nextMs !== undefined, 'the wait')
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
  assert.match(api.reflector.status.lastError ?? '', /503/)
  await api.clock.advance(5_000)
  assert.equal(api.reflector.status.lastError, undefined)
  api.cut()
  await api.backoff(/failed/)
  await eventually(() => api.clock.nextMs === 100, 'a short wait again')
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
