// Whom the server of the page answers, in which form, and how much of it. The live lines: live-lines.test.ts.
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { type Crossing, type NodeDetail, type TraceLine } from '#/ui/contract.ts'
import { ask, type Asked, bearer, open, served } from './testing/asking.ts'
import { token } from './testing/served.ts'
import { SimulatedCluster } from './testing/simulated.ts'

const within = { timeout: 20_000 }

test('the page itself needs no token, is whole and says what a browser may do with it', within, async () => {
  await using ui = await served()
  const { status, headers, text: body } = await ask(ui.port)
  assert.equal(status, 200)
  assert.match(body, /<title>page/)
  assert.equal(headers['content-type'], 'text/html; charset=utf-8')
  assert.equal(
    headers['content-security-policy'],
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  )
  assert.equal(headers['x-content-type-options'], 'nosniff')
  assert.equal(headers['referrer-policy'], 'no-referrer')
  assert.equal(headers['cross-origin-resource-policy'], 'same-origin')
  assert.equal(headers['access-control-allow-origin'], undefined)
  const script = await open(ui.port, { path: '/page.js', headers: { 'accept-encoding': 'gzip' } })
  assert.equal(script.headers['content-encoding'], 'gzip')
  const packed = Buffer.concat(await Array.fromAsync(script as AsyncIterable<Buffer>))
  assert.equal(gunzipSync(packed).length, 3400)
  const again = await ask(ui.port, { path: '/page.js', headers: { 'if-none-match': script.headers.etag! } })
  assert.deepEqual([again.status, again.text], [304, ''])
  for (const path of ['/../server.ts', '/%2e%2e/etc/passwd', '/etc/passwd', '/index.html/', '/page.js/x'])
    assert.equal((await ask(ui.port, { path })).status, 404, path)
})

test('data is for who has the token alone, and nothing says how near a wrong one is', within, async () => {
  await using ui = await served()
  const paths = ['/api/live', '/api/node/node-1', '/api/pods', '/api/policies', '/api/nothing', '/api/']
  for (const path of paths)
    for (const headers of [
      {},
      { authorization: 'Bearer ' },
      { authorization: token },
      { authorization: `Bearer ${token}x` },
      { authorization: `Basic ${token}` },
      { cookie: `token=${token}` },
    ]) {
      const { status, text: body } = await ask(ui.port, { path: `${path}?token=${token}`, headers })
      assert.equal(status, 401, path)
      assert.match((JSON.parse(body) as { message: string }).message, /token/)
    }
  const { status, headers } = await ask(ui.port, { path: '/api/pods?q=web', headers: bearer })
  assert.equal(status, 200)
  assert.equal(headers['cache-control'], 'no-store')
})

test('another host, another page and another form of request are refused, with the token too', within, async () => {
  await using ui = await served()
  const { port } = ui
  const at = (headers: Record<string, string>, path = '/api/pods'): Promise<number> =>
    ask(port, { path, headers: { ...bearer, ...headers } }).then(({ status }) => status)
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`, `LOCALHOST:${port}`])
    assert.equal(await at({ host }), 200, host)
  for (const host of [
    '127.0.0.1',
    'evil.example',
    `evil.example:${port}`,
    `127.0.0.1:${port + 1}`,
    `127.0.0.1:${port}.`,
  ])
    for (const path of ['/', '/api/pods']) assert.equal(await at({ host }, path), 403, host)
  assert.equal(await at({ origin: `http://127.0.0.1:${port}` }), 200)
  for (const origin of ['null', 'http://evil.example', `https://127.0.0.1:${port}`, `http://localhost:${port}`])
    assert.equal(await at({ origin }), 403, origin)
  assert.equal(await at({ 'sec-fetch-site': 'same-origin' }), 200)
  for (const site of ['cross-site', 'same-site', 'none']) assert.equal(await at({ 'sec-fetch-site': site }), 403, site)
  const target = await ask(port, {
    path: `http://evil.example/api/pods`,
    headers: { ...bearer, host: `127.0.0.1:${port}` },
  })
  assert.equal(target.status, 400)
})

test('methods and bodies are exact and bounded', within, async () => {
  await using ui = await served()
  const { port } = ui
  const statusOf = async (asked: Asked): Promise<number> =>
    (await ask(port, { ...asked, headers: { ...bearer, ...asked.headers } })).status
  for (const method of ['HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH']) {
    assert.equal(await statusOf({ method }), 405, method)
    assert.equal(await statusOf({ method, path: '/api/pods' }), 405, method)
  }
  assert.equal(await statusOf({ path: '/api/doctor' }), 405)
  assert.equal(await statusOf({ path: '/api/trace' }), 405)
  const trace = { method: 'POST', path: '/api/trace' }
  const json = { 'content-type': 'application/json' }
  assert.equal(await statusOf({ ...trace, body: '{}', headers: { 'content-type': 'text/plain' } }), 415)
  assert.equal(
    await statusOf({ ...trace, body: 'from=a', headers: { 'content-type': 'application/x-www-form-urlencoded' } }),
    415,
  )
  assert.equal(await statusOf({ ...trace, body: 'a'.repeat(5000), headers: json }), 413)
  for (const body of [
    '',
    '{',
    '[]',
    'null',
    '{"from":"a"}',
    '{"from":1,"to":"b"}',
    '{"from":"a","to":"b","family":5}',
    '{"from":"a","to":"b","sizeBytes":0.5}',
    '{"from":"a","to":"b:99999"}',
    '{"from":"a","to":"b:80","protocol":"icmp"}',
  ])
    assert.equal(await statusOf({ ...trace, body, headers: json }), 400, body)
  for (const path of [
    '/api/node/',
    '/api/node/a/b',
    '/api/node',
    '/api/toString',
    '/api/__proto__',
    '/api/node/nowhere',
  ])
    assert.equal(await statusOf({ path }), 404, path)
  assert.equal(await statusOf({ path: '/api/node/%ff' }), 400)
  assert.equal(await statusOf({ path: '/api/crossing?from=node-1' }), 400)
  assert.equal(await statusOf({ path: `/api/pods?q=${'a'.repeat(400)}` }), 400)
  assert.equal(await statusOf({ path: `/api/pods?q=${'a'.repeat(9000)}` }), 431)
})

test('neither a WebSocket nor a tunnel is opened', within, async () => {
  await using ui = await served()
  for (const head of [
    `GET /api/live HTTP/1.1\r\nHost: 127.0.0.1:${ui.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n`,
    `CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n`,
  ]) {
    const socket = connect(ui.port, '127.0.0.1')
    socket.end(head)
    assert.equal(await text(socket), '')
  }
})

test('of pages, connections and traces there are as many as may be', within, async () => {
  const finish = Promise.withResolvers<never>()
  await using ui = await served({ trace: () => finish.promise })
  const pages = await Promise.all(
    Array.from({ length: 16 }, () => open(ui.port, { path: '/api/live', headers: bearer })),
  )
  assert.ok(pages.every(({ statusCode }) => statusCode === 200))
  assert.equal((await ask(ui.port, { path: '/api/live', headers: bearer })).status, 429)
  const trace = {
    method: 'POST',
    path: '/api/trace',
    body: '{"from":"a","to":"b"}',
    headers: { ...bearer, 'content-type': 'application/json' },
  }
  const running = [ask(ui.port, trace), ask(ui.port, trace)]
  await sleep(100)
  assert.equal((await ask(ui.port, trace)).status, 429)
  finish.reject(new Error('it is over'))
  for (const { status, text: body } of await Promise.all(running)) {
    assert.equal(status, 200)
    assert.deepEqual(
      body
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as TraceLine),
      [{ kind: 'refused', message: 'it is over' }],
    )
  }
  for (const page of pages) page.destroy()
  await sleep(100)
  const again = await open(ui.port, { path: '/api/live', headers: bearer })
  assert.equal(again.statusCode, 200)
  again.destroy()
})

test('who has no token keeps nobody out who has it, however many connections he opens', within, async () => {
  await using ui = await served()
  const page = await open(ui.port, { path: '/api/live', headers: bearer })
  page.resume()
  let isOver = false
  // begins a request that it does not end, and comes again as soon as it is thrown out
  const pester = (): void => {
    const socket = connect(ui.port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.on('close', () => isOver || setTimeout(pester, 5))
    socket.write('GET / HTTP/1.1\r\n')
  }
  for (let count = 0; count < 100; count++) pester()
  await sleep(200)
  for (let count = 0; count < 10; count++)
    assert.equal((await ask(ui.port, { path: '/api/policies', headers: bearer })).status, 200)
  assert.equal(page.destroyed, false)
  isOver = true
  page.destroy()
})

test('what is asked of one node, of two and of all is what agents answer', within, async () => {
  const cluster = new SimulatedCluster(100)
  await using ui = await served({ cluster })
  const get = async <T>(path: string): Promise<T> => {
    const { status, text: body } = await ask(ui.port, { path, headers: bearer })
    assert.equal(status, 200, body)
    return JSON.parse(body) as T
  }
  const detail = await get<NodeDetail>('/api/node/node-7')
  assert.equal(detail.status!.verdicts.length, 99)
  assert.deepEqual(
    detail.silences.map(({ what }) => what),
    ['bgpPeers', 'datapath', 'ipam'],
  )
  const crossing = await get<Crossing>('/api/crossing?from=node-1&to=node-2')
  assert.deepEqual([crossing.there.verdicts.length, crossing.there.probes.length], [1, 1])
  cluster.node('node-2').isSilent = true
  assert.match((await get<NodeDetail>('/api/node/node-2')).silences[0]!.why, /does not run/)
})
