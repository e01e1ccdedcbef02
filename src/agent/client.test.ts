import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { askAgent } from './client.ts'

test('every question opens a connection: one that is kept would be that of an agent which may have been killed', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'causeway-client-'))
  const socketPath = join(dir, 'agent.sock')
  let connections = 0
  await using server = createServer((request, response) => response.writeHead(200).end(request.url))
  server.on('connection', () => connections++)
  try {
    server.listen(socketPath)
    await once(server, 'listening')
    assert.deepEqual(await askAgent(socketPath, '/healthz'), { status: 200, text: '/healthz' })
    assert.deepEqual(await askAgent(socketPath, '/readyz'), { status: 200, text: '/readyz' })
    assert.equal(connections, 2)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})
