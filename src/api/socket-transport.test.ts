import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { socketTransport } from './socket-transport.ts'

test('every request opens a new connection, since the agent of a kept one may have been killed', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'causeway-client-'))
  const socketPath = join(dir, 'agent.sock')
  let connections = 0
  await using server = createServer((request, response) => response.writeHead(200).end(request.url))
  server.on('connection', () => connections++)
  const { send } = socketTransport(socketPath)
  const signal = AbortSignal.timeout(10_000)
  try {
    server.listen(socketPath)
    await once(server, 'listening')
    assert.deepEqual(await send({ method: 'GET', path: '/healthz' }, signal), { status: 200, text: '/healthz' })
    assert.deepEqual(await send({ method: 'GET', path: '/readyz' }, signal), { status: 200, text: '/readyz' })
    assert.equal(connections, 2)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})

test('a caller can give up while no answer comes', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'causeway-client-'))
  const socketPath = join(dir, 'agent.sock')
  await using server = createServer(() => {})
  try {
    server.listen(socketPath)
    await once(server, 'listening')
    const enough = new AbortController()
    const answer = socketTransport(socketPath).send({ method: 'GET', path: '/healthz' }, enough.signal)
    enough.abort(new Error('enough'))
    await assert.rejects(answer)
  } finally {
    server.closeAllConnections()
    rmSync(dir, { recursive: true, force: true })
  }
})
