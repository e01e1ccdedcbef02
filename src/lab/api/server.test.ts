import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { silent } from '#/lib/log.ts'
import { dig, isObject, list, objects, text, type Json, type JsonObject } from './json.ts'
import { ApiServer } from './server.ts'
import { at, TestServer } from './testing.ts'

let server: TestServer
before(async () => {
  server = await TestServer.start()
})
after(() => server[Symbol.asyncDispose]())

const maps = (namespace: string): string => `/api/v1/namespaces/${namespace}/configmaps`

async function makeNamespace(name: string): Promise<void> {
  const { code } = await server.call('/api/v1/namespaces', { method: 'POST', body: { metadata: { name } } })
  assert.equal(code, 201)
}

const make = (path: string, body: Json): ReturnType<TestServer['call']> => server.call(path, { method: 'POST', body })
const configMap = (name: string, labels: JsonObject = {}): JsonObject => ({
  metadata: { name, labels },
  data: { a: '1' },
})
const node = (name: string, spec: JsonObject = {}): JsonObject => ({ metadata: { name }, spec })
const pod = (name: string, nodeName?: string): JsonObject => ({
  metadata: { name },
  spec: { containers: [{ name: 'c', image: 'i:1' }], ...(nodeName !== undefined && { nodeName }) },
})
const seen = (events: readonly Json[]): string[] =>
  events.map((event) => `${text(dig(event, 'type'))} ${text(dig(event, 'object', 'metadata', 'name'))}`)

test('every request except health and version needs a token', async () => {
  const answer = await server.call('/api/v1/nodes', { token: 'wrong' })
  assert.equal(answer.code, 401)
  assert.equal(at(answer, 'reason'), 'Unauthorized')
  for (const path of ['/healthz', '/livez', '/readyz', '/version'])
    assert.equal((await server.call(path, { token: 'wrong' })).code, 200)
})

test('a wrong request is answered with the code and Status of the real server', async () => {
  await makeNamespace('wrong')
  for (const [path, options, code, reason] of [
    ['/api/v1/nothing', {}, 404, 'NotFound'],
    ['/nowhere', {}, 404, 'NotFound'],
    ['/api/v1/nodes/none', {}, 404, 'NotFound'],
    ['/api/v1/nodes', { method: 'PUT', body: {} }, 405, 'MethodNotAllowed'],
    ['/api/v1/nodes', { method: 'POST', body: '{"a"' }, 400, 'BadRequest'],
    ['/api/v1/nodes', { method: 'POST', body: '[]' }, 400, 'BadRequest'],
    ['/api/v1/nodes', { method: 'POST', body: 'a: [', type: 'application/yaml' }, 400, 'BadRequest'],
    [
      '/api/v1/nodes',
      { method: 'POST', body: '{"metadata":{"name":"x","labels":{"__proto__":"y"}}}' },
      400,
      'BadRequest',
    ],
    ['/api/v1/nodes', { method: 'POST', body: `{"a":${'['.repeat(2000)}${']'.repeat(2000)}}` }, 400, 'BadRequest'],
    ['/api/v1/nodes', { method: 'POST', body: '{}', type: 'text/plain' }, 415, 'UnsupportedMediaType'],
    ['/api/v1/nodes', { method: 'POST', body: `"${'x'.repeat(3 * 1024 * 1024)}"` }, 413, 'RequestEntityTooLarge'],
    ['/api/v1/nodes', { method: 'POST', body: { metadata: { name: 'No_Name' } } }, 422, 'Invalid'],
    ['/api/v1/nodes', { method: 'POST', body: { metadata: { name: 5 } } }, 400, 'BadRequest'],
    ['/api/v1/nodes', { method: 'POST', body: { kind: 'Pod', metadata: { name: 'x' } } }, 400, 'BadRequest'],
    [maps('missing'), { method: 'POST', body: configMap('a') }, 404, 'NotFound'],
    ['/api/v1/nodes?labelSelector=a%20b', {}, 400, 'BadRequest'],
    ['/api/v1/nodes?fieldSelector=spec.color%3Dred', {}, 400, 'BadRequest'],
    ['/api/v1/nodes?continue=nonsense', {}, 400, 'BadRequest'],
    ['/api/v1/nodes?resourceVersion=999999', {}, 504, 'Timeout'],
    ['/api/v1/nodes', { accept: 'application/xml' }, 406, 'NotAcceptable'],
  ] as const) {
    const answer = await server.call(path, options)
    assert.deepEqual(
      [answer.code, dig(answer.json, 'reason')],
      [code, reason],
      `${path} ${JSON.stringify(options).slice(0, 80)}`,
    )
    assert.equal(at(answer, 'kind'), 'Status')
  }
})

test('optimistic concurrency refuses a stale update in the known words', async () => {
  await makeNamespace('stale')
  const first = await make(maps('stale'), configMap('a'))
  const changed = { ...(isObject(first.json) ? first.json : {}), data: { a: '2' } }
  assert.equal((await server.call(`${maps('stale')}/a`, { method: 'PUT', body: changed })).code, 200)
  const second = await server.call(`${maps('stale')}/a`, { method: 'PUT', body: { ...changed, data: { a: '3' } } })
  assert.equal(second.code, 409)
  assert.equal(
    at(second, 'message'),
    'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
  )
  const again = await make(maps('stale'), configMap('a'))
  assert.equal(at(again, 'reason'), 'AlreadyExists')
})

test('pod CIDRs of a node are set once', async () => {
  await make('/api/v1/nodes', node('cidr'))
  const patch = (spec: JsonObject): ReturnType<TestServer['call']> =>
    server.call('/api/v1/nodes/cidr', { method: 'PATCH', type: 'application/merge-patch+json', body: { spec } })
  const set = await patch({ podCIDRs: ['10.1.0.0/24', 'fd00:1::/64'] })
  assert.equal(at(set, 'spec', 'podCIDR'), '10.1.0.0/24')
  const moved = await patch({ podCIDR: '10.2.0.0/24', podCIDRs: ['10.2.0.0/24'] })
  assert.equal(moved.code, 422)
  assert.match(at(moved, 'message'), /node updates may not change podCIDR except from "" to valid/)
  assert.equal((await make('/api/v1/nodes', node('bad-cidr', { podCIDRs: ['10.1.0.0/24', '10.2.0.0/24'] }))).code, 422)
})

test('a write that changes nothing keeps the resourceVersion, a dry run stores nothing', async () => {
  await makeNamespace('noop')
  const made = await make(maps('noop'), configMap('a'))
  const same = await server.call(`${maps('noop')}/a`, {
    method: 'PATCH',
    type: 'application/merge-patch+json',
    body: { data: { a: '1' } },
  })
  assert.equal(at(same, 'metadata', 'resourceVersion'), at(made, 'metadata', 'resourceVersion'))
  const dry = await make(`${maps('noop')}?dryRun=All`, configMap('b'))
  assert.equal(dry.code, 201)
  assert.equal((await server.call(`${maps('noop')}/b`)).code, 404)
  const generated = await make(maps('noop'), { metadata: { generateName: 'x-' } })
  assert.match(at(generated, 'metadata', 'name'), /^x-[a-z0-9]{5}$/)
})

test('lists come in pages of one revision', async () => {
  await makeNamespace('pages')
  for (const name of ['a', 'b', 'c', 'd', 'e']) await make(maps('pages'), configMap(name))
  const first = await server.call(`${maps('pages')}?limit=2`)
  assert.equal(dig(first.json, 'metadata', 'remainingItemCount'), 3)
  await server.call(`${maps('pages')}/d`, { method: 'DELETE' })
  await make(maps('pages'), configMap('f'))
  const token = at(first, 'metadata', 'continue')
  const rest = await server.call(`${maps('pages')}?limit=10&continue=${token}`)
  const names = (answer: typeof first): unknown[] =>
    objects(dig(answer.json, 'items')).map((item) => dig(item, 'metadata', 'name'))
  assert.deepEqual([...names(first), ...names(rest)], ['a', 'b', 'c', 'd', 'e'])
  assert.equal(at(rest, 'metadata', 'resourceVersion'), at(first, 'metadata', 'resourceVersion'))
  const revision = at(first, 'metadata', 'resourceVersion')
  const exact = await server.call(`${maps('pages')}?resourceVersion=${revision}&resourceVersionMatch=Exact`)
  assert.equal(names(exact).length, 5)
  const old = Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: 0, start: 'pages/a' })).toString('base64url')
  const expired = await server.call(`${maps('pages')}?limit=2&continue=${old}`)
  assert.deepEqual([expired.code, dig(expired.json, 'reason')], [410, 'Expired'])
})

test('a watch tells what happened, and turns selector changes into additions and removals', async () => {
  await makeNamespace('watch')
  const start = at(await server.call(maps('watch')), 'metadata', 'resourceVersion')
  const watching = server.watch(
    `${maps('watch')}?watch=1&resourceVersion=${start}&labelSelector=on%3Dyes`,
    (events) => events.length >= 4,
  )
  await make(maps('watch'), configMap('off'))
  await make(maps('watch'), configMap('x', { on: 'yes' }))
  const label = (on: string): ReturnType<TestServer['call']> =>
    server.call(`${maps('watch')}/x`, {
      method: 'PATCH',
      type: 'application/merge-patch+json',
      body: { metadata: { labels: { on } } },
    })
  const left = await label('no')
  await label('yes')
  await server.call(`${maps('watch')}/x`, { method: 'DELETE' })
  const events = await watching
  assert.deepEqual(seen(events), ['ADDED x', 'DELETED x', 'ADDED x', 'DELETED x'])
  assert.equal(dig(events[1], 'object', 'metadata', 'labels', 'on'), 'yes')
  assert.equal(dig(events[1], 'object', 'metadata', 'resourceVersion'), at(left, 'metadata', 'resourceVersion'))
})

test('watches begin with what there is, send bookmarks, and end in time', async () => {
  await makeNamespace('begin')
  await make(maps('begin'), configMap('a'))
  assert.deepEqual(seen(await server.watch(`${maps('begin')}?watch=1&timeoutSeconds=1`, () => false)), ['ADDED a'])
  const marked = await server.watch(
    `${maps('begin')}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`,
    (events) => events.length >= 2,
  )
  assert.equal(dig(marked[1], 'type'), 'BOOKMARK')
  assert.equal(dig(marked[1], 'object', 'metadata', 'annotations', 'k8s.io/initial-events-end'), 'true')
  const bookmarked = await server.watch(
    `${maps('begin')}?watch=1&resourceVersion=0&allowWatchBookmarks=true`,
    (events) => events.some((event) => dig(event, 'type') === 'BOOKMARK'),
  )
  assert.equal(dig(bookmarked.at(-1), 'object', 'kind'), 'ConfigMap')
})

test('a watch from a forgotten revision gets 410 as an event', async () => {
  const [event] = await server.watch('/api/v1/nodes?watch=1&resourceVersion=1', () => true)
  // revision 1 is that of the empty store, from which everything is known
  assert.notEqual(dig(event, 'type'), 'ERROR')
  await server.restart()
  const [error] = await server.watch('/api/v1/nodes?watch=1&resourceVersion=1', () => true)
  assert.deepEqual(
    [dig(error, 'type'), dig(error, 'object', 'code'), dig(error, 'object', 'reason')],
    ['ERROR', 410, 'Expired'],
  )
})

test('a bound pod ends gracefully, an unbound one at once', async () => {
  await makeNamespace('grace')
  const pods = '/api/v1/namespaces/grace/pods'
  await make(pods, pod('bound', 'n1'))
  await make(pods, pod('free'))
  assert.equal((await server.call(`${pods}/free`, { method: 'DELETE' })).code, 200)
  assert.equal((await server.call(`${pods}/free`)).code, 404)
  const ending = await server.call(`${pods}/bound`, { method: 'DELETE' })
  assert.equal(dig(ending.json, 'metadata', 'deletionGracePeriodSeconds'), 30)
  assert.notEqual(dig(ending.json, 'metadata', 'deletionTimestamp'), undefined)
  const listed = await server.call(`${pods}?fieldSelector=spec.nodeName%3Dn1%2Cspec.hostNetwork%3Dfalse`)
  assert.equal(list(dig(listed.json, 'items')).length, 1)
  await server.call(`${pods}/bound`, { method: 'DELETE', body: { gracePeriodSeconds: 0 } })
  assert.equal((await server.call(`${pods}/bound`)).code, 404)
})

test("binding sets a pod's node once, and its specification stays", async () => {
  await makeNamespace('bind')
  const path = '/api/v1/namespaces/bind/pods/p'
  await make('/api/v1/namespaces/bind/pods', pod('p'))
  assert.equal((await make(`${path}/binding`, { target: { kind: 'Node', name: 'n1' } })).code, 201)
  assert.equal((await make(`${path}/binding`, { target: { kind: 'Node', name: 'n2' } })).code, 409)
  const patched = await server.call(path, {
    method: 'PATCH',
    type: 'application/merge-patch+json',
    body: { spec: { hostNetwork: true } },
  })
  assert.equal(patched.code, 422)
  const status = await server.call(`${path}/status`, {
    method: 'PATCH',
    type: 'application/strategic-merge-patch+json',
    body: { status: { podIP: '10.0.0.1', phase: 'Running' }, spec: { nodeName: 'n3' } },
  })
  assert.deepEqual([at(status, 'status', 'podIP'), at(status, 'spec', 'nodeName')], ['10.0.0.1', 'n1'])
})

test('finalizers keep an object, and the objects of a deleted owner are deleted', async () => {
  await makeNamespace('owners')
  const owner = await make(maps('owners'), { metadata: { name: 'owner', finalizers: ['example.com/hold'] } })
  const reference = { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: at(owner, 'metadata', 'uid') }
  await make(maps('owners'), { metadata: { name: 'owned', ownerReferences: [reference] } })
  const held = await server.call(`${maps('owners')}/owner`, { method: 'DELETE' })
  assert.notEqual(dig(held.json, 'metadata', 'deletionTimestamp'), undefined)
  const gone = server.watch(
    `${maps('owners')}?watch=1&resourceVersion=${at(held, 'metadata', 'resourceVersion')}`,
    (events) => events.length >= 2,
  )
  await server.call(`${maps('owners')}/owner`, {
    method: 'PATCH',
    type: 'application/json-patch+json',
    body: [{ op: 'remove', path: '/metadata/finalizers' }],
  })
  assert.deepEqual(seen(await gone), ['DELETED owner', 'DELETED owned'])
})

test('a namespace goes with all that is in it', async () => {
  await makeNamespace('going')
  await make(maps('going'), configMap('a'))
  const start = at(await server.call('/api/v1/namespaces'), 'metadata', 'resourceVersion')
  const gone = server.watch(`/api/v1/namespaces?watch=1&resourceVersion=${start}`, (events) =>
    seen(events).includes('DELETED going'),
  )
  const answer = await server.call('/api/v1/namespaces/going', { method: 'DELETE' })
  assert.equal(at(answer, 'status', 'phase'), 'Terminating')
  await gone
  assert.equal((await server.call('/api/v1/namespaces/going')).code, 404)
  assert.deepEqual(dig((await server.call(maps('going'))).json, 'items'), [])
})

test('a custom resource definition makes a kind that is defaulted, validated and pruned', async () => {
  const schema = {
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        required: ['size'],
        properties: { size: { type: 'integer', minimum: 1 }, color: { type: 'string', default: 'red' } },
      },
      status: { type: 'object', properties: { ok: { type: 'boolean' } } },
    },
  }
  const version = {
    name: 'v1',
    served: true,
    storage: true,
    subresources: { status: {} },
    schema: { openAPIV3Schema: schema },
  }
  const definition = {
    metadata: { name: 'widgets.example.com' },
    spec: { group: 'example.com', scope: 'Cluster', names: { plural: 'widgets', kind: 'Widget' }, versions: [version] },
  }
  assert.equal((await make('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', definition)).code, 201)
  const path = '/apis/example.com/v1/widgets'
  const made = await make(path, { metadata: { name: 'w' }, spec: { size: 2, junk: 1 }, status: { ok: true } })
  assert.deepEqual(dig(made.json, 'spec'), { size: 2, color: 'red' })
  assert.equal(dig(made.json, 'status'), undefined)
  assert.equal(made.headers['warning'], '299 - "unknown field \\"spec.junk\\""')
  assert.equal(
    (await make(`${path}?fieldValidation=Strict`, { metadata: { name: 'x' }, spec: { size: 2, junk: 1 } })).code,
    400,
  )
  assert.equal((await make(path, { metadata: { name: 'x' }, spec: { size: 0 } })).code, 422)
  const status = await server.call(`${path}/w/status`, {
    method: 'PATCH',
    type: 'application/merge-patch+json',
    body: { status: { ok: true }, spec: { size: 9 } },
  })
  assert.deepEqual(
    [dig(status.json, 'spec', 'size'), dig(status.json, 'status', 'ok'), dig(status.json, 'metadata', 'generation')],
    [2, true, 1],
  )
  await server.restart()
  assert.equal((await server.call(`${path}/w`)).code, 200)
  await server.call('/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com', { method: 'DELETE' })
  await new Promise(setImmediate)
  assert.equal((await server.call(path)).code, 404)
})

test('events are the same objects in both groups', async () => {
  const involvedObject = { kind: 'Node', name: 'n1' }
  await make('/api/v1/namespaces/default/events', {
    metadata: { name: 'e1' },
    involvedObject,
    message: 'hello',
    reason: 'Started',
    type: 'Normal',
  })
  const other = await server.call('/apis/events.k8s.io/v1/namespaces/default/events/e1')
  assert.deepEqual(
    [at(other, 'apiVersion'), at(other, 'note'), dig(other.json, 'regarding')],
    ['events.k8s.io/v1', 'hello', involvedObject],
  )
  const found = await server.call('/api/v1/events?fieldSelector=involvedObject.name%3Dn1%2Creason%3DStarted')
  assert.equal(list(dig(found.json, 'items')).length, 1)
})

test('tables and metadata come on request', async () => {
  await make('/api/v1/nodes', node('tabular'))
  const table = await server.call('/api/v1/nodes/tabular', {
    accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json',
  })
  assert.deepEqual(list(dig(list(dig(table.json, 'rows'))[0], 'cells')).slice(0, 3), ['tabular', 'Unknown', '<none>'])
  const partial = await server.call('/api/v1/nodes', {
    accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io',
  })
  assert.equal(at(partial, 'kind'), 'PartialObjectMetadataList')
})

test('delete collection takes what a selector selects', async () => {
  await makeNamespace('many')
  await make(maps('many'), configMap('a', { x: '1' }))
  await make(maps('many'), configMap('b'))
  await server.call(`${maps('many')}?labelSelector=x%3D1`, { method: 'DELETE' })
  const left = await server.call(maps('many'))
  assert.deepEqual(
    objects(dig(left.json, 'items')).map((item) => dig(item, 'metadata', 'name')),
    ['b'],
  )
})

test('a server listens on several addresses', async () => {
  await using api = new ApiServer({
    stateDir: `${server.directory}/second`,
    tokens: new Map(),
    tls: server.certificates,
    log: silent,
  })
  const first = await api.listen({ host: '127.0.0.1', port: 0 })
  const second = await api.listen({ host: '127.0.0.1', port: 0 })
  assert.notEqual(first.port, second.port)
})

test('a server listens on a socket that another process has bound', { timeout: 20_000 }, async (t) => {
  const bound = createServer()
  bound.listen(0, '127.0.0.1')
  await once(bound, 'listening')
  t.after(() => bound.close())
  const script = join(server.directory, 'child.ts')
  const options = { stateDir: join(server.directory, 'third'), tls: server.certificates }
  writeFileSync(
    script,
    `import { ApiServer } from ${JSON.stringify(new URL('server.ts', import.meta.url).href)}
     import { silent } from ${JSON.stringify(new URL('../../lib/log.ts', import.meta.url).href)}
     const server = new ApiServer({ ...${JSON.stringify(options)}, tokens: new Map(), log: silent })
     const { port } = await server.listen({ fd: 3 })
     console.log(port)`,
  )
  const handle: unknown = Reflect.get(bound, '_handle')
  assert.ok(typeof handle === 'object' && handle !== null && 'fd' in handle && typeof handle.fd === 'number')
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit', handle.fd] })
  t.after(() => child.kill('SIGKILL'))
  const [line]: unknown[] = await once(child.stdio[1]!, 'data')
  const address = bound.address()
  assert.ok(typeof address === 'object' && address !== null)
  assert.equal(Number(String(line)), address.port)
})
