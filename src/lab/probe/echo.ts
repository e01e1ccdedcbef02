// The server in a lab's pod: it tells each client which pod it reached and from which address it came. The socket is made in the pod's
// namespace; the caller's event loop serves it.
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { SysError } from '#/sys/libc.ts'
import type { Netns } from '#/sys/netns.ts'
import { tcpListener } from '#/sys/socket.ts'
import { answerLimitBytes, formatAnswer, formatHttpAnswer, httpMethod, peerAddr } from './answer.ts'

/** How long the server waits for a silent client before it answers. */
const silenceMs = 50
/** How long a client that has its answer may keep the connection open. */
const lingerMs = 1000

/** The server keeps the pod's namespace alive: dispose of it before the pod ends. */
export interface EchoServer extends AsyncDisposable {
  readonly port: number
}

/** Makes one socket for both families, or for v4 alone when the kernel has no IPv6. */
function listen(netns: Netns, port: number): number {
  return netns.run(() => {
    try {
      return tcpListener(6, port)
    } catch (error) {
      if (!(error instanceof SysError) || error.code !== 'EAFNOSUPPORT') throw error
      return tcpListener(4, port)
    }
  })
}

/** Answers once the client has sent a whole line, has sent too much, has ended, or was silent for long enough. */
function answer(pod: string, socket: Socket): void {
  const source = peerAddr(socket.remoteAddress ?? '')
  // without an address the client is gone already
  if (source === undefined) return void socket.destroy()
  let heard = ''
  const reply = (): void => {
    clearTimeout(timer)
    timer = setTimeout(() => socket.destroy(), lingerMs)
    // further bytes of the client are read: closing with unread bytes would reset the connection (RFC 2525 section 2.17)
    socket.off('data', onData).off('end', reply).resume()
    const method = httpMethod(heard)
    socket.end(method === undefined ? formatAnswer({ pod, source }) : formatHttpAnswer({ pod, source }, method))
  }
  const onData = (chunk: Buffer): void => {
    heard += chunk.toString('latin1')
    if (heard.includes('\n') || heard.length > answerLimitBytes) reply()
  }
  let timer = setTimeout(reply, silenceMs)
  socket.on('data', onData).on('end', reply)
  socket.on('close', () => clearTimeout(timer))
}

class PodEchoServer implements EchoServer {
  readonly port: number
  readonly #server: Server
  readonly #sockets: ReadonlySet<Socket>

  constructor(server: Server, sockets: ReadonlySet<Socket>) {
    this.#server = server
    this.#sockets = sockets
    this.port = (server.address() as AddressInfo).port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await this.#server[Symbol.asyncDispose]()
  }
}

/** Serves `podName` on a TCP port of its namespace, 0 for any. Throws when the port is taken. */
export async function serveEcho(netns: Netns, podName: string, port = 8080): Promise<EchoServer> {
  let fd: number
  try {
    fd = listen(netns, port)
  } catch (error) {
    throw new Error(`echo server of pod ${podName} in ${netns.path}`, { cause: error })
  }
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    // a client that breaks off does not matter to the server
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    answer(podName, socket)
  })
  server.listen({ fd })
  await once(server, 'listening')
  return new PodEchoServer(server, sockets)
}
