import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { int32, libc } from '#/sys/libc.ts'
import { viewOf } from '#/lib/bytes.ts'
import { fdOf } from '../socket-fd.ts'
import { limitSilence } from './limit-silence.ts'

const IPPROTO_TCP = 6
const TCP_USER_TIMEOUT = 18

function userTimeoutOf(fd: number): number {
  const value = int32(0)
  libc('getsockopt', [fd, IPPROTO_TCP, TCP_USER_TIMEOUT, value, int32(4)], 'TCP_USER_TIMEOUT')
  return viewOf(value).getInt32(0, true)
}

async function listening(): Promise<Server & AsyncDisposable> {
  const server = createServer((socket) => void socket.on('error', () => {}).resume())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

const connections: Record<string, (to: { host: string; port: number }) => Socket> = {
  TCP: (to) => connectTcp(to),
  TLS: (to) => connectTls(to),
}

for (const [what, connect] of Object.entries(connections)) {
  test(`unacknowledged bytes end a connection of ${what} after the given time`, async () => {
    await using server = await listening()
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    const socket = connect({ host: '127.0.0.1', port: address.port })
    socket.on('error', () => {})
    try {
      await once(socket, 'connect')
      limitSilence(socket, 10_000)
      const fd = fdOf(socket)
      assert.ok(fd !== undefined)
      assert.equal(userTimeoutOf(fd), 10_000)
    } finally {
      socket.destroy()
    }
    limitSilence(socket, 10_000)
  })
}
