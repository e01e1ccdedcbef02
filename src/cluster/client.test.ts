import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isFields, type KubeNode } from '#/model/kubernetes.ts'
import type { ApiClient } from './client.ts'
import { clientFor } from './connect.ts'
import { ApiError, ApiUnreachable } from './errors.ts'
import { nodePath, nodesPath } from './paths.ts'
import { FakeApi, type Handler, sendJson, sendStatus } from './testing/fake-api.ts'
import { eventually, ManualClock } from './testing/manual-clock.ts'

const node = (name: string): KubeNode => ({ metadata: { name, resourceVersion: '1' } })

type Setup = AsyncDisposable & { readonly api: FakeApi; readonly client: ApiClient; readonly clock: ManualClock }

async function setup(handler: Handler): Promise<Setup> {
  const api = await FakeApi.start(handler)
  const clock = new ManualClock()
  const client = await clientFor(api.config, { clock, random: () => 0 })
  const close = async (): Promise<void> => {
    await client[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
  }
  return { api, client, clock, [Symbol.asyncDispose]: close }
}

/** Answers with each of these in turn, and with the last one ever after. */
function inTurn(...handlers: Handler[]): Handler {
  let turn = 0
  return (request, response) => handlers[Math.min(turn++, handlers.length - 1)]!(request, response)
}

const ok: Handler = (_request, response) => sendJson(response, node('a'))
const status =
  (code: number, reason: string, headers = {}): Handler =>
  (_request, response) =>
    sendStatus(response, code, reason, headers)

const isError =
  (code: number, reason: string) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof ApiError, String(error))
    assert.deepEqual([error.code, error.reason], [code, reason])
    assert.ok(!error.message.includes('\n'))
    return true
  }
const isUnreachable =
  (words: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof ApiUnreachable, String(error))
    assert.match(`${error.message} ${String(error.cause)}`, words)
    return true
  }

test('verbs, bodies and content types are those of the API conventions', async () => {
  await using run = await setup(ok)
  const { api, client } = run
  await client.get(nodePath('a'))
  await client.create(nodesPath(), { a: 1 })
  await client.replace(nodePath('a'), { a: 'ü' })
  await client.patch(nodePath('a'), {}, 'merge', { fieldManager: 'x' })
  await client.patch(nodePath('a'), [], 'json')
  await client.patch(nodePath('a'), {}, 'strategic')
  await client.patch(nodePath('a'), {}, 'apply', { force: 'true' })
  await client.delete(nodePath('a'), { body: { gracePeriodSeconds: 0 } })
  assert.deepEqual(
    api.requests.map(({ method, path, headers }) => `${method} ${path} ${headers['content-type'] ?? ''}`.trim()),
    [
      'GET /api/v1/nodes/a',
      'POST /api/v1/nodes application/json',
      'PUT /api/v1/nodes/a application/json',
      'PATCH /api/v1/nodes/a application/merge-patch+json',
      'PATCH /api/v1/nodes/a application/json-patch+json',
      'PATCH /api/v1/nodes/a application/strategic-merge-patch+json',
      'PATCH /api/v1/nodes/a application/apply-patch+yaml',
      'DELETE /api/v1/nodes/a application/json',
    ],
  )
  assert.equal(api.requests[2]?.body, '{"a":"ü"}')
  assert.equal(api.requests[3]?.query.get('fieldManager'), 'x')
  assert.equal(new Set(api.requests.map(({ socket }) => socket)).size, 1, 'one connection serves them all')
})

test('a Status becomes an ApiError with its code, reason and message', async () => {
  await using run = await setup(status(404, 'NotFound'))
  await assert.rejects(run.client.get(nodePath('a')), isError(404, 'NotFound'))
  await assert.rejects(run.client.get(nodePath('a')), /GET http:.*\/nodes\/a: 404 NotFound: test: NotFound/)
})

test('garbage is an error that shows its beginning, never a crash', async () => {
  const bodies = ['<html>\r\n\u0007proxy', '', 'null', '[]', '{"metadata":{}}', '{"metadata":{"name":7}}']
  await using run = await setup(
    inTurn(
      ...bodies.map(
        (body): Handler =>
          (_request, response) =>
            response.end(body),
      ),
    ),
  )
  for (const body of bodies) await assert.rejects(run.client.get('/x'), isError(200, 'InvalidResponse'), body)
  run.api.handler = (_request, response) => response.writeHead(502).end('<html>\n\n no\tbackend')
  await assert.rejects(run.client.get('/x'), /502 BadGateway: <html> no backend/)
})

test('an answer that is no list is refused as a whole', async () => {
  const bodies = [
    {},
    { items: {}, metadata: {} },
    { items: [{}], metadata: { resourceVersion: '1' } },
    { items: [node('a')] },
  ]
  await using run = await setup(
    inTurn(
      ...bodies.map(
        (body): Handler =>
          (_request, response) =>
            sendJson(response, body),
      ),
    ),
  )
  for (const body of bodies) {
    await assert.rejects(run.client.list('/x'), isError(200, 'InvalidResponse'), JSON.stringify(body))
  }
})

test('429 and 503 are waited out as the server asks, a POST only after 429', async () => {
  await using run = await setup(
    inTurn(status(429, 'TooManyRequests', { 'retry-after': '2' }), status(503, 'ServiceUnavailable'), ok),
  )
  const { api, client, clock } = run
  const got = client.get<KubeNode>(nodePath('a'))
  await eventually(() => api.requests.length === 1 && clock.nextMs === 2_000, 'the wait of 2 s')
  await clock.advance(2_000)
  await eventually(
    () => api.requests.length === 2 && clock.nextMs !== undefined && clock.nextMs <= 400,
    'the wait without a number',
  )
  await clock.advance(400)
  assert.equal((await got).metadata.name, 'a')
  api.handler = status(503, 'ServiceUnavailable', { 'retry-after': '1' })
  await assert.rejects(client.create(nodesPath(), {}), isError(503, 'ServiceUnavailable'))
  assert.equal(api.requests.length, 4)
  api.handler = inTurn(status(429, 'TooManyRequests', { 'retry-after': '1' }), ok)
  const created = client.create(nodesPath(), {})
  await eventually(() => clock.nextMs === 1_000, 'the wait of 1 s')
  await clock.advance(1_000)
  await created
})

test('retries end: after five tries, or when the wait would outlast the timeout', async () => {
  await using run = await setup(status(429, 'TooManyRequests', { 'retry-after': '1' }))
  const { api, client, clock } = run
  const got = assert.rejects(client.get('/x'), isError(429, 'TooManyRequests'))
  for (let tries = 1; tries < 5; tries++) {
    await eventually(() => api.requests.length === tries && clock.nextMs === 1_000, `try ${tries}`)
    await clock.advance(1_000)
  }
  await got
  assert.equal(api.requests.length, 5)
  await assert.rejects(client.get('/x', { timeoutMs: 900 }), isError(429, 'TooManyRequests'))
  assert.equal(api.requests.length, 6)
})

test('a server that hangs, before or within the body, is given up after the timeout', async () => {
  await using run = await setup(() => {})
  const { api, client, clock } = run
  const hung = assert.rejects(client.get('/x', { timeoutMs: 5_000 }), isUnreachable(/no answer within 5 s/))
  await eventually(() => api.requests.length === 1, 'the request')
  await clock.advance(5_000)
  await hung
  api.handler = (_request, response) => response.writeHead(200, { 'content-length': '99' }).write('{"metad')
  const stuck = assert.rejects(client.get('/x'), isUnreachable(/no answer within 30 s/))
  await eventually(() => api.requests.length === 2, 'the second request')
  await clock.advance(30_000)
  await stuck
})

test('an abort ends the request with the reason of the caller', async () => {
  await using run = await setup(() => {})
  const abort = new AbortController()
  const reason = new Error('enough')
  const request = run.client.get('/x', { signal: abort.signal })
  await eventually(() => run.api.requests.length === 1, 'the request')
  abort.abort(reason)
  await assert.rejects(request, reason)
  await assert.rejects(run.client.get('/x', { signal: abort.signal }), reason)
})

test('a connection that was closed while idle costs nothing but a POST', async () => {
  await using run = await setup(ok)
  const { api, client } = run
  await client.get('/x')
  // the server closes it in the moment that the next request is on its way
  const closeFirst = inTurn((request) => request.socket.destroy(), ok)
  api.handler = closeFirst
  await client.get('/x')
  assert.equal(api.requests.length, 3)
  api.handler = (request) => request.socket.destroy()
  await assert.rejects(client.create('/x', {}), isUnreachable(/socket hang up|ECONNRESET/))
  await assert.rejects(client.get('/x'), isUnreachable(/socket hang up|ECONNRESET/))
})

test('after a request without an answer no idle connection is used again, for it may lead to the same dead end', async () => {
  await using run = await setup(ok)
  const { api, client } = run
  await Promise.all([client.get('/x'), client.get('/x')])
  const known = new Set(api.requests.map(({ socket }) => socket))
  assert.equal(known.size, 2)
  api.handler = (request) => request.socket.destroy()
  await assert.rejects(client.create('/x', {}), isUnreachable(/./))
  assert.equal(client.outage.isOn, true)
  api.handler = ok
  await client.get('/x')
  assert.ok(!known.has(api.requests.at(-1)!.socket))
  assert.equal(client.outage.isOn, false)
})

test('an outage is what nobody answers: not a refusal, not the abort of a caller, but a proxy that has no server', async () => {
  await using run = await setup(ok)
  const { api, client } = run
  for (const [handler, isOn] of [
    [status(502, ''), true],
    [status(404, 'NotFound'), false],
    [status(504, 'Timeout'), true],
    [status(403, 'Forbidden'), false],
    [status(503, 'ServiceUnavailable', { 'retry-after': '1' }), false],
    [status(500, 'InternalError'), false],
  ] as const) {
    api.handler = handler
    await assert.rejects(client.create('/x', {}), ApiError)
    assert.equal(client.outage.isOn, isOn)
  }
  api.handler = () => {}
  const abort = new AbortController()
  const request = client.get('/x', { signal: abort.signal })
  await eventually(() => api.requests.length === 7, 'the request')
  abort.abort(new Error('enough'))
  await assert.rejects(request, /enough/)
  assert.equal(client.outage.isOn, false)
})

test('a refused connection gives a message in plain words', async () => {
  const run = await setup(ok)
  await run[Symbol.asyncDispose]()
  await assert.rejects(run.client.get('/x'), isUnreachable(/nothing listens there.*ECONNREFUSED/))
})

/** Pages of two of the given names; the continue token is the place of the next. */
function paged(
  names: readonly string[],
  onPage: (token: string, response: ServerResponse) => boolean = () => false,
): Handler {
  return ({ query }, response) => {
    const token = query.get('continue') ?? ''
    if (onPage(token, response)) return
    const start = Number(token)
    const limit = Number(query.get('limit') ?? names.length)
    const next = start + limit < names.length ? String(start + limit) : ''
    const metadata = { resourceVersion: '7', continue: next }
    sendJson(response, { kind: 'NodeList', items: names.slice(start, start + limit).map(node), metadata })
  }
}

test('a list is read page by page with its selectors', async () => {
  await using run = await setup(paged(['a', 'b', 'c', 'd', 'e']))
  const options = { pageSize: 2, labelSelector: 'x=y', fieldSelector: 'spec.nodeName=n' }
  const { items, resourceVersion } = await run.client.list(nodesPath(), options)
  assert.deepEqual(
    items.map(({ metadata }) => metadata.name),
    ['a', 'b', 'c', 'd', 'e'],
  )
  assert.equal(resourceVersion, '7')
  assert.deepEqual(
    run.api.requests.map(({ query }) => query.toString()),
    ['', '&continue=2', '&continue=4'].map(
      (rest) => `labelSelector=x%3Dy&fieldSelector=spec.nodeName%3Dn&limit=2${rest}`,
    ),
  )
})

test('a continue token that expired starts the list over, and the third time asks for one page', async () => {
  let expiries = 0
  const expire = (token: string, response: ServerResponse): boolean => {
    if (token !== '2' || expiries >= 2) return false
    expiries++
    sendStatus(response, 410, 'Expired')
    return true
  }
  await using run = await setup(paged(['a', 'b', 'c'], expire))
  const { items } = await run.client.list(nodesPath(), { pageSize: 2 })
  assert.deepEqual(
    items.map(({ metadata }) => metadata.name),
    ['a', 'b', 'c'],
  )
  assert.deepEqual(
    run.api.requests.map(({ query }) => query.get('limit')),
    ['2', '2', '2', '2', null],
  )
})

test('a list of null items is empty, as Go writes it', async () => {
  await using run = await setup((_request, response) =>
    sendJson(response, { items: null, metadata: { resourceVersion: '3' } }),
  )
  assert.deepEqual(await run.client.list('/x'), { items: [], resourceVersion: '3' })
})

test('an error body of any length is read only to its limit', async () => {
  await using run = await setup((_request, response) => {
    response.writeHead(500)
    const chunk = Buffer.alloc(1 << 18, 'x')
    const more = (): void => {
      while (!response.destroyed && response.write(chunk)) {}
      if (!response.destroyed) response.once('drain', more)
    }
    more()
  })
  await assert.rejects(run.client.get('/x'), isUnreachable(/longer than 1048576 bytes/))
})

test('in a URL with a path the API is below that path', async () => {
  await using run = await setup(ok)
  await using client = await clientFor({ ...run.api.config, server: new URL(`${run.api.url}/k8s/clusters/c-1/`) })
  await client.get(nodePath('a'))
  assert.equal(run.api.requests[0]?.path, '/k8s/clusters/c-1/api/v1/nodes/a')
})

test('a token file is not sent without TLS', async () => {
  await using place = await mkdtempDisposable(join(tmpdir(), 'client-'))
  const path = join(place.path, 'token')
  await writeFile(path, 'secret')
  await using run = await setup(ok)
  await using client = await clientFor({ ...run.api.config, token: { kind: 'file', path, field: 'token' } })
  await client.get('/x')
  assert.ok(isFields(run.api.requests[0]?.headers) && !('authorization' in run.api.requests[0].headers))
})
