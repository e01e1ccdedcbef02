import assert from 'node:assert/strict'
import { pbkdf2 } from 'node:crypto'
import { closeSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { once } from 'node:events'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { Addr } from '#/lib/addr.ts'
import { POLLIN, POLLOUT } from './fd-watcher.ts'
import { untilReady } from './readiness.ts'
import { socketAddress, startConnect, tcpListener, tcpSocket } from './socket.ts'

const loopback = Addr.parse('127.0.0.1')
const laterMs = (ms: number): number => performance.now() + ms

test('untilReady distinguishes ready descriptors from those that time out, however many wait', async () => {
  // a server in this same process: what waits must not stop it
  await using server = createServer((socket) => socket.on('error', () => {}).end('x')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  using stack = new DisposableStack()
  const clients = Array.from({ length: 100 }, () => stack.adopt(tcpSocket(4), closeSync))
  const silent = stack.adopt(tcpListener(4, 0), closeSync)
  for (const fd of clients) startConnect(fd, loopback, port)
  const connected = await Promise.all(clients.map(async (fd) => untilReady(fd, POLLOUT, laterMs(5000))))
  assert.ok(connected.every(Boolean))
  const readable = await Promise.all(clients.map(async (fd) => untilReady(fd, POLLIN, laterMs(5000))))
  assert.ok(readable.every(Boolean))
  assert.equal(await untilReady(silent, POLLIN, laterMs(5)), false)
})

test('a closed descriptor counts as ready: the next call on it fails', async () => {
  const fd = tcpSocket(4)
  closeSync(fd)
  assert.equal(await untilReady(fd, POLLIN, laterMs(5000)), true)
})

test('what came before the deadline counts also where the process was kept from noticing it', async () => {
  using stack = new DisposableStack()
  const listener = stack.adopt(tcpListener(4, 0), closeSync)
  const client = stack.adopt(tcpSocket(4), closeSync)
  startConnect(client, loopback, socketAddress(listener, 'local').port)
  // all threads of the pool are busy, so that of the watcher waits
  const work = Array.from({ length: 8 }, async () => promisify(pbkdf2)('x', 'y', 100_000, 64, 'sha512'))
  assert.equal(await untilReady(listener, POLLIN, laterMs(5)), true)
  await Promise.all(work)
})
