// TCP for the speaker: sockets prepared as BGP needs them (sys/tcp-session.ts), run by Node's event loop.
import { closeSync } from 'node:fs'
import { createServer, type Server, Socket, type SocketConstructorOpts } from 'node:net'
import { type Connection, type ConnectOptions, type Listener, type Transport } from '#/bgp/contract.ts'
import { type Addr, type Family } from '#/lib/addr.ts'
import { type Logger } from '#/lib/log.ts'
import { setMd5Key, tcpSessionListener, tcpSessionSocket } from '#/sys/tcp-session.ts'
import { connectError, isNoSuchFamily, kernelWords, listenError, silenceHint } from './socket-errors.ts'
import { TcpConnection } from './tcp-connection.ts'

/** Without `manualStart` Node would read from a socket that it did not connect itself at once. It is not documented. */
type PreparedSocket = SocketConstructorOpts & { readonly manualStart: true }

function wrap(fd: number): Socket {
  try {
    const options: PreparedSocket = { fd, manualStart: true }
    return new Socket(options)
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

type FamilyListener = { readonly family: Family; readonly fd: number; readonly server: Server }

export class TcpTransport implements Transport {
  readonly #log: Logger

  constructor(deps: { readonly log: Logger }) {
    this.#log = deps.log
  }

  async connect(options: ConnectOptions, signal: AbortSignal): Promise<Connection> {
    signal.throwIfAborted()
    const socket = this.#prepare(options)
    const { promise, resolve, reject } = Promise.withResolvers<Connection>()
    const giveUp = (): void => {
      socket.destroy()
      reject(new Error(`ECANCELED: given up: ${silenceHint(options)}`))
    }
    const fail = (error: unknown): void => reject(connectError(error, options))
    signal.addEventListener('abort', giveUp)
    socket.on('error', fail)
    socket.pause()
    socket.connect({ host: String(options.addr), port: options.port }, () => {
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

  #prepare(options: ConnectOptions): Socket {
    try {
      return wrap(tcpSessionSocket(options.addr, options))
    } catch (error) {
      throw connectError(error, options)
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
      throw listenError(error, `TCP port ${port}`, 'another BGP speaker runs on this node')
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
