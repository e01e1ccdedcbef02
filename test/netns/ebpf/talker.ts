// A thread that lives in a pod's namespace, serves echoes and holds connections there. talking-pod.ts is its other side.
import { createSocket, type Socket as Datagrams } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { libc } from '#/sys/libc.ts'
import { Netns } from '#/sys/netns.ts'
import { type Call, type Reply } from './talking-pod.ts'

const CLONE_NEWNET = 0x40000000
using place = new Netns((workerData as { netns: string }).netns)
// for good: the thread ends before it would be anywhere else
libc('setns', [place.fd, CLONE_NEWNET])

const connectMs = 5000
const streams = new Map<string, Socket>()
const datagrams = new Map<string, Datagrams>()

const patternOf = (bytes: number, salt: number): Buffer =>
  Buffer.from(Array.from({ length: bytes }, (_, at) => (at * 7 + (at >> 8) + salt) & 0xff))
const dgramType = (addr: string): 'udp4' | 'udp6' => (addr.includes(':') ? 'udp6' : 'udp4')

async function serve(addr: string, port: number): Promise<void> {
  const server = createServer((socket) => {
    socket.setNoDelay()
    socket.on('error', () => socket.destroy())
    socket.pipe(socket)
  })
  server.listen(port, addr)
  const echo = createSocket(dgramType(addr))
  // its greatest buffer: the test counts what is lost, not what the receiver has no room for
  echo.on('message', (bytes, from) => echo.send(bytes, from.port, from.address))
  echo.bind(port, addr)
  await Promise.all([once(server, 'listening'), once(echo, 'listening')])
}

async function open({ id, protocol, from, fromPort, to, port }: Extract<Call, { kind: 'open' }>): Promise<void> {
  if (protocol === 'tcp') {
    const socket = connect({
      host: to,
      port,
      localAddress: from,
      ...(fromPort !== undefined && { localPort: fromPort }),
    })
    socket.setNoDelay()
    await once(socket, 'connect', { signal: AbortSignal.timeout(connectMs) })
    socket.on('error', () => {})
    streams.set(id, socket)
    return
  }
  // another connection may have the same port
  const socket = createSocket({ type: dgramType(to), reuseAddr: true })
  socket.bind(fromPort ?? 0, from)
  await once(socket, 'listening')
  socket.connect(port, to)
  await once(socket, 'connect')
  socket.on('error', () => {})
  datagrams.set(id, socket)
}

/** Sends, and waits for the same bytes to come back. */
async function echoedByStream(socket: Socket, sent: Buffer, signal: AbortSignal): Promise<void> {
  const parts: Buffer[] = []
  let missing = sent.length
  socket.write(sent)
  while (missing > 0) {
    const [part] = (await once(socket, 'data', { signal })) as [Buffer]
    parts.push(part)
    missing -= part.length
  }
  if (!Buffer.concat(parts).equals(sent)) throw new Error('other bytes came back')
}

async function echoedByDatagram(socket: Datagrams, sent: Buffer, signal: AbortSignal): Promise<void> {
  const echo = once(socket, 'message', { signal })
  socket.send(sent)
  const [bytes] = (await echo) as [Buffer]
  if (!bytes.equals(sent)) throw new Error('other bytes came back')
}

async function exchange({ id, bytes, rounds, pauseMs, timeoutMs }: Extract<Call, { kind: 'exchange' }>): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const signal = AbortSignal.timeout(timeoutMs)
    const [stream, datagram] = [streams.get(id), datagrams.get(id)]
    const sent = patternOf(bytes, round)
    try {
      if (stream) await echoedByStream(stream, sent, signal)
      else await echoedByDatagram(datagram!, sent, signal)
    } catch (error) {
      throw new Error(`${id}, round ${round} of ${rounds}: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      })
    }
    if (pauseMs > 0) await setTimeout(pauseMs)
  }
}

async function close({ id, how }: Extract<Call, { kind: 'close' }>): Promise<void> {
  const stream = streams.get(id)
  if (stream) {
    const closed = once(stream, 'close')
    if (how === 'rst') stream.resetAndDestroy()
    else stream.end()
    await closed
  }
  datagrams.get(id)?.close()
  streams.delete(id)
  datagrams.delete(id)
}

async function answer(call: Call): Promise<void> {
  switch (call.kind) {
    case 'serve':
      return serve(call.addr, call.port)
    case 'open':
      return open(call)
    case 'exchange':
      return exchange(call)
    case 'close':
      return close(call)
    case 'throw': {
      const socket = createSocket(dgramType(call.to))
      socket.bind(0, call.from)
      await once(socket, 'listening')
      return new Promise((resolve) => {
        socket.send(call.bytes, call.port, call.to, () => socket.close(() => resolve()))
      })
    }
  }
}

parentPort!.on('message', ({ number, call }: { number: number; call: Call }) => {
  const reply = (error?: string): void => parentPort!.postMessage({ number, error } satisfies Reply)
  answer(call).then(
    () => reply(),
    (error: unknown) => reply(error instanceof Error ? error.message : String(error)),
  )
})
