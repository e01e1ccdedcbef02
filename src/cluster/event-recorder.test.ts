import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silent } from '#/lib/log.ts'
import { fieldsOf, type KubeObject, type ObjectReference } from '#/model/kubernetes.ts'
import { ApiError, ApiUnreachable } from './errors.ts'
import { EventRecorder } from './event-recorder.ts'
import { ManualClock } from './testing/manual-clock.ts'
import { TokenBucket } from './token-bucket.ts'

type Call = { readonly verb: 'create' | 'patch'; readonly path: string; readonly body: Record<string, unknown> }

const nodeA: ObjectReference = { apiVersion: 'v1', kind: 'Node', name: 'a', uid: 'u1' }

function recorderOf(fault: () => Error | undefined = () => undefined): {
  recorder: EventRecorder
  calls: Call[]
  clock: ManualClock
} {
  const calls: Call[] = []
  const clock = new ManualClock()
  const call = async <T extends KubeObject>(verb: Call['verb'], path: string, body: unknown): Promise<T> => {
    await Promise.resolve()
    calls.push({ verb, path, body: fieldsOf(body) })
    const error = fault()
    if (error !== undefined) throw error
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as the client does
    return body as T
  }
  const client: ConstructorParameters<typeof EventRecorder>[1]['client'] = {
    create: (path, body) => call('create', path, body),
    patch: (path, body) => call('patch', path, body),
  }
  const recorder = new EventRecorder({ component: 'causeway-test', instance: 'here' }, { client, log: silent, clock })
  return { recorder, calls, clock }
}

test('an event is a core/v1 Event in the namespace of its object, or in default', async () => {
  const { recorder, calls, clock } = recorderOf()
  recorder.record(nodeA, 'Warning', 'CIDRNotAvailable', 'no more')
  recorder.record({ apiVersion: 'v1', kind: 'Pod', name: 'p', namespace: 'n' }, 'Normal', 'Fine', 'ok')
  await clock.advance(0)
  assert.deepEqual(
    calls.map(({ verb, path }) => `${verb} ${path}`),
    ['create /api/v1/namespaces/default/events', 'create /api/v1/namespaces/n/events'],
  )
  const { metadata, ...rest } = calls[0]!.body
  assert.match(String(fieldsOf(metadata)['name']), /^a\.[0-9a-f]+$/)
  assert.deepEqual(rest, {
    apiVersion: 'v1',
    kind: 'Event',
    involvedObject: nodeA,
    type: 'Warning',
    reason: 'CIDRNotAvailable',
    message: 'no more',
    count: 1,
    firstTimestamp: '2024-05-01T12:00:00Z',
    lastTimestamp: '2024-05-01T12:00:00Z',
    source: { component: 'causeway-test' },
    reportingComponent: 'causeway-test',
    reportingInstance: 'here',
  })
  await recorder[Symbol.asyncDispose]()
})

test('the same news again raises the count of the same event', async () => {
  const { recorder, calls, clock } = recorderOf()
  recorder.record(nodeA, 'Warning', 'X', 'y')
  await clock.advance(5_000)
  recorder.record(nodeA, 'Warning', 'X', 'y')
  recorder.record(nodeA, 'Warning', 'X', 'y')
  await clock.advance(0)
  assert.equal(calls.length, 2)
  assert.deepEqual(calls[1]?.body, { count: 3, lastTimestamp: '2024-05-01T12:00:05Z' })
  assert.equal(
    calls[1].path,
    `/api/v1/namespaces/default/events/${String(fieldsOf(calls[0]?.body['metadata'])['name'])}`,
  )
  await recorder[Symbol.asyncDispose]()
})

test('an event that has expired on the server is made anew', async () => {
  let isExpired = false
  const { recorder, calls, clock } = recorderOf(() => {
    const error = isExpired ? new ApiError('test', { code: 404, reason: 'NotFound', detail: '' }) : undefined
    isExpired = false
    return error
  })
  recorder.record(nodeA, 'Normal', 'X', 'y')
  await clock.advance(1_000)
  isExpired = true
  recorder.record(nodeA, 'Normal', 'X', 'y')
  await clock.advance(0)
  assert.deepEqual(
    calls.map(({ verb }) => verb),
    ['create', 'patch', 'create'],
  )
  assert.equal(calls[2]?.body['count'], 2)
  await recorder[Symbol.asyncDispose]()
})

test('one object gets 25 events at once, then one every five minutes; others are not affected', async () => {
  const { recorder, calls, clock } = recorderOf()
  for (let count = 0; count < 40; count++) recorder.record(nodeA, 'Normal', 'X', `message ${count}`)
  recorder.record({ ...nodeA, name: 'b' }, 'Normal', 'X', 'y')
  await clock.advance(0)
  assert.equal(calls.length, 26)
  await clock.advance(300_000)
  for (let count = 0; count < 5; count++) recorder.record(nodeA, 'Normal', 'X', `later ${count}`)
  await clock.advance(0)
  assert.equal(calls.length, 27)
  await recorder[Symbol.asyncDispose]()
})

test('over all objects it writes 50 at once, then 10 a second', async () => {
  const { recorder, calls, clock } = recorderOf()
  for (let count = 0; count < 80; count++) recorder.record({ ...nodeA, name: `n${count}` }, 'Normal', 'X', 'y')
  await clock.advance(0)
  assert.equal(calls.length, 50)
  await clock.advance(1_000)
  assert.equal(calls.length, 60)
  await clock.advance(2_100)
  assert.equal(calls.length, 80)
  await recorder[Symbol.asyncDispose]()
})

test('an event is tried three times when the API does not answer, once when it refuses, and nothing is ever thrown', async () => {
  let error: Error = new ApiUnreachable('test', new Error('away'))
  const { recorder, calls, clock } = recorderOf(() => error)
  recorder.record(nodeA, 'Normal', 'X', 'y')
  await clock.advance(60_000)
  assert.equal(calls.length, 3)
  error = new ApiError('test', { code: 403, reason: 'Forbidden', detail: '' })
  recorder.record(nodeA, 'Normal', 'X', 'z')
  await clock.advance(60_000)
  assert.equal(calls.length, 4)
  await recorder[Symbol.asyncDispose]()
  recorder.record(nodeA, 'Normal', 'X', 'after the end')
  await clock.advance(0)
  assert.equal(calls.length, 4)
})

test('stopping waits at most a second for the events that are noted', async () => {
  const { recorder, calls, clock } = recorderOf(() => new ApiUnreachable('test', new Error('away')))
  recorder.record(nodeA, 'Normal', 'X', 'y')
  await clock.advance(0)
  const stopping = recorder[Symbol.asyncDispose]()
  await clock.advance(1_000)
  await stopping
  assert.equal(calls.length, 1)
  assert.equal(clock.nextMs, undefined)
})

test('a token bucket tells how long until the next token', async () => {
  const clock = new ManualClock()
  const bucket = new TokenBucket({ burst: 2, perSecond: 4 }, { clock })
  assert.deepEqual([bucket.take(), bucket.take(), bucket.take()], [true, true, false])
  assert.equal(bucket.msUntilNext(), 250)
  await clock.advance(250)
  assert.equal(bucket.msUntilNext(), 0)
  assert.deepEqual([bucket.take(), bucket.take()], [true, false])
})
