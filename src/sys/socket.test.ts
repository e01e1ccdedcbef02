import assert from 'node:assert/strict'
import { closeSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { Addr } from '#/lib/addr.ts'
import {
  decodeSockaddr,
  encodeSockaddr,
  icmpSocket,
  realtimeMs,
  receive,
  receivedAtMs,
  receiveFrom,
  send,
  sendTo,
  socketError,
  startConnect,
  tcpListener,
  tcpRttMs,
  tcpSocket,
} from './socket.ts'
import { POLLIN, POLLOUT } from './fd-watcher.ts'
import { libc } from './libc.ts'
import { untilReady } from './readiness.ts'

const loopback = { 4: Addr.parse('127.0.0.1'), 6: Addr.parse('::1') } as const

function portOf(fd: number): number {
  const address = new Uint8Array(28)
  libc('getsockname', [fd, address, new Uint8Array(new Int32Array([28]).buffer)])
  return decodeSockaddr(address)!.port
}

async function ready(fd: number, events: number): Promise<void> {
  assert.ok(await untilReady(fd, events, performance.now() + 5000), 'the socket does not become ready')
}

const anyAddr = fc.oneof(
  fc.bigInt({ min: 0n, max: (1n << 32n) - 1n }).map((value) => new Addr(4, value)),
  fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }).map((value) => new Addr(6, value)),
)

test('a sockaddr is what netinet/in.h says', () => {
  assert.equal(
    Buffer.from(encodeSockaddr(Addr.parse('10.1.2.3'), 8080)).toString('hex'),
    '02001f900a0102030000000000000000',
  )
  assert.equal(
    Buffer.from(encodeSockaddr(Addr.parse('fd07::1'), 80)).toString('hex'),
    '0a00005000000000fd07000000000000000000000000000100000000',
  )
})

test('sockaddrs round-trip', () => {
  fc.assert(
    fc.property(anyAddr, fc.nat(65535), (addr, port) => {
      const decoded = decodeSockaddr(encodeSockaddr(addr, port))
      assert.deepEqual([String(decoded?.addr), decoded?.port], [String(addr), port])
    }),
  )
})

test('decodeSockaddr takes any bytes', () => {
  fc.assert(
    fc.property(fc.constantFrom(0, 1, 2, 10, 16), fc.uint8Array({ maxLength: 40 }), (family, bytes) => {
      if (bytes.length > 1) bytes.set([family, 0])
      const decoded = decodeSockaddr(bytes)
      const needed = family === 2 ? 16 : family === 10 ? 28 : Infinity
      assert.equal(decoded !== undefined, bytes.length >= needed)
    }),
  )
})

for (const family of [4, 6] as const) {
  test(`a v${family} client reaches the dual-stack listener`, async () => {
    using stack = new DisposableStack()
    const listener = stack.adopt(tcpListener(6, 0), closeSync)
    const client = stack.adopt(tcpSocket(family), closeSync)
    startConnect(client, loopback[family], portOf(listener))
    await ready(client, POLLOUT)
    assert.equal(socketError(client), undefined)
    assert.ok(tcpRttMs(client) < 1000)
    await ready(listener, POLLIN)
    const server = stack.adopt(libc('accept4', [listener, null, null, 0]), closeSync)
    const buffer = new Uint8Array(16)
    assert.equal(receive(client, buffer), undefined)
    assert.equal(send(server, new Uint8Array([1, 2, 3])), 3)
    await ready(client, POLLIN)
    assert.equal(receive(client, buffer), 3)
    assert.deepEqual([...buffer.subarray(0, 3)], [1, 2, 3])
  })

  test(`a raw v${family} ICMP socket receives the types it asked for, with their time`, async () => {
    const { request, reply } = family === 4 ? { request: 8, reply: 0 } : { request: 128, reply: 129 }
    using stack = new DisposableStack()
    const fd = stack.adopt(icmpSocket(family, [reply]), closeSync)
    assert.equal(receivedAtMs(fd), undefined)
    const bytes = new Uint8Array(64)
    // the checksum that makes v4 whole: the sum of the words is the type in the high byte and the identifier
    const id = process.pid & 0xffff
    bytes.set([request, 0, 0, 0, id >> 8, id & 0xff])
    const sum = (request << 8) + id
    const checksum = ~((sum & 0xffff) + (sum >>> 16)) & 0xffff
    if (family === 4) bytes.set([checksum >> 8, checksum & 0xff], 2)
    const sentMs = realtimeMs()
    sendTo(fd, bytes, loopback[family])
    await ready(fd, POLLIN)
    const datagram = receiveFrom(fd, new Uint8Array(256))
    assert.equal(String(datagram?.from), String(loopback[family]))
    assert.equal(datagram?.bytes[family === 4 ? 20 : 0], reply)
    assert.ok(Math.abs(receivedAtMs(fd)! - sentMs) < 1000)
  })
}

test('socketError has the outcome of a connection that fails, once', async () => {
  using stack = new DisposableStack()
  const listener = tcpListener(4, 0)
  const port = portOf(listener)
  closeSync(listener)
  const client = stack.adopt(tcpSocket(4), closeSync)
  startConnect(client, loopback[4], port)
  await ready(client, POLLOUT)
  assert.equal(socketError(client), 'ECONNREFUSED')
  assert.equal(socketError(client), undefined)
})

test('a taken port is EADDRINUSE', () => {
  using stack = new DisposableStack()
  const listener = stack.adopt(tcpListener(6, 0), closeSync)
  assert.throws(() => tcpListener(6, portOf(listener)), { code: 'EADDRINUSE' })
})
