// TCP for the speaker: sockets prepared as BGP needs them (sys/tcp-session.ts), run by Node's event loop.
import { createServer, type Server, Socket } from 'node:net'
import { type Connection, type ConnectOptions, type Listener, type Transport } from '#/bgp/contract.ts'
import { type Addr, type Family } from '#/lib/addr.ts'
import { type Logger } from '#/lib/log.ts'
import { closeFd } from '#/sys/libc.ts'
import { startConnect } from '#/sys/socket.ts'
import { setMd5Key, tcpSessionListener, tcpSessionSocket } from '#/sys/tcp-session.ts'
import { connectError, isNoSuchFamily, kernelWords, listenError, silenceHint } from './socket-errors.ts'
import { TcpConnection } from './tcp-connection.ts'

type FamilyListener = { readonly family: Family; readonly fd: number; readonly server: Server }

/** A socket that is connecting, and not read from. */
function begin(options: ConnectOptions): Socket {
  try {
    const fd = tcpSessionSocket(options.addr, options)
    try {
      startConnect(fd, options.addr, options.port)
      return new Socket({ fd, readable: true, writable: true }).pause()
    } catch (error) {
      closeFd(fd)
      throw error
    }
  } catch (error) {
    throw connectError(error, options)
  }
}

export class TcpTransport implements Transport {
  readonly #log: Logger

  constructor(deps: { readonly log: Logger }) {
    this.#log = deps.log
  }

  async connect(options: ConnectOptions, signal: AbortSignal): Promise<Connection> {
    signal.throwIfAborted()
    const socket = begin(options)
    const { promise, resolve, reject } = Promise.withResolvers<Connection>()
    const giveUp = (): void => {
      socket.destroy()
      reject(new Error(`ECANCELED: given up: ${silenceHint(options)}`))
    }
    const fail = (error: unknown): void => reject(connectError(error, options))
    signal.addEventListener('abort', giveUp)
    socket.on('error', fail)
    // the kernel takes nothing, not even of nothing, before the handshake is over: then it takes this, or tells why not
    socket.write(new Uint8Array(0), (failure) => {
      if (failure) return
      try {
        resolve(new TcpConnection(socket))
      } catch (error) {
        socket.destroy()
        fail(error)
      }
    })
    try {
      return await promise
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  }

  listen(port: number, onConnection: (connection: Connection) => void): Listener {
    const listeners: FamilyListener[] = []
    const close = (): void => listeners.forEach(({ server }) => server.close())
    try {
      for (const family of [4, 6] as const) {
        const listener = this.#listenOn(family, port, onConnection)
        if (listener !== undefined) listeners.push(listener)
      }
    } catch (error) {
      close()
      throw listenError(error, 'tcp', port)
    }
    return {
      setPassword: (addr: Addr, password: string | undefined) => {
        const listener = listeners.find(({ family }) => family === addr.family)
        // the number of one that is closed may mean another file
        if (listener?.server.listening === true) setMd5Key(listener.fd, addr, password)
      },
      close,
    }
  }

  /** undefined: this kernel does not have that family. */
  #listenOn(family: Family, port: number, onConnection: (connection: Connection) => void): FamilyListener | undefined {
    let fd: number
    try {
      fd = tcpSessionListener(family, port)
    } catch (error) {
      if (family === 6 && isNoSuchFamily(error)) return undefined
      throw error
    }
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      const connection = this.#accepted(socket)
      if (connection !== undefined) onConnection(connection)
    })
    server.on('error', (error) =>
      this.#log.warn('a connection could not be accepted', { port, error: kernelWords(error) }),
    )
    server.listen({ fd })
    return { family, fd, server }
  }

  /** undefined: the other side has broken it off again. */
  #accepted(socket: Socket): TcpConnection | undefined {
    try {
      return new TcpConnection(socket)
    } catch (error) {
      this.#log.debug('a connection broke before it was accepted', { error: kernelWords(error) })
      // whatever it has to tell of its end is of no interest
      socket.on('error', () => {})
      socket.destroy()
      return undefined
    }
  }
}
