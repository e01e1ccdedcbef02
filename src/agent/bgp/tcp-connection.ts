// A TCP connection of a BGP session on a socket of Node's. tcp(7).
import { type Socket } from 'node:net'
import { type Connection, type ConnectionHandlers, type SocketOptions } from '#/bgp/contract.ts'
import { type Addr } from '#/lib/addr.ts'
import { boundDevice, socketAddress } from '#/sys/socket.ts'
import { endConnectTimeout, setTcpTtl } from '#/sys/tcp-session.ts'
import { fdOf } from '../socket-fd.ts'
import { kernelWords } from './socket-errors.ts'

export class TcpConnection implements Connection {
  readonly localAddr: Addr
  readonly remoteAddr: Addr
  readonly device?: string
  readonly #socket: Socket
  #handlers: ConnectionHandlers | undefined
  /** A write returned false, and nobody was told yet that there is room again. */
  #isBehind = false
  #isEnding = false
  #error: Error | undefined
  #isClosed = false

  /** Takes a socket that is connected and paused. Throws when it has broken already. */
  constructor(socket: Socket) {
    const fd = fdOf(socket)
    if (fd === undefined) throw new Error('the connection is closed')
    this.#socket = socket
    this.localAddr = socketAddress(fd, 'local').addr
    this.remoteAddr = socketAddress(fd, 'remote').addr
    const device = this.remoteAddr.isLinkLocal && this.remoteAddr.family === 6 ? boundDevice(fd) : undefined
    if (device !== undefined) this.device = device
    endConnectTimeout(fd)
    socket.setNoDelay(true)
    socket.on('data', (bytes: Buffer) => {
      if (!this.#isEnding) this.#handlers?.onData(bytes)
    })
    // who has no more to say in a BGP session has left it: what we have queued is for nobody
    socket.on('end', () => {
      if (!this.#isEnding) socket.destroy()
    })
    socket.on('error', (error) => {
      this.#error ??= new Error(kernelWords(error), { cause: error })
    })
    socket.on('close', () => {
      this.#isClosed = true
      this.#handlers?.onClose(this.#error)
    })
  }

  get handlers(): ConnectionHandlers {
    if (this.#handlers === undefined) throw new Error('a connection has no handlers before they are set')
    return this.#handlers
  }

  /** The first ones set reading going. */
  set handlers(handlers: ConnectionHandlers) {
    const isFirst = this.#handlers === undefined
    this.#handlers = handlers
    if (!isFirst) return
    if (this.#isClosed) setImmediate(() => this.#handlers?.onClose(this.#error))
    else this.#socket.resume()
  }

  get queuedBytes(): number {
    return this.#socket.destroyed ? 0 : this.#socket.writableLength
  }

  write(bytes: Uint8Array): boolean {
    if (this.#isEnding || this.#socket.destroyed) return false
    this.#socket.write(bytes, () => this.#written())
    if (this.#socket.writableLength === 0) return true
    this.#isBehind = true
    return false
  }

  end(): void {
    if (this.#isEnding || this.#socket.destroyed) return
    this.#isEnding = true
    this.#socket.end()
    // unread bytes would make the kernel send RST, which can take our last message away from the other side
    this.#socket.resume()
  }

  destroy(): void {
    // libuv refuses to reset a socket that is being shut down
    if (this.#isEnding) this.#socket.destroy()
    else if (!this.#socket.destroyed) this.#socket.resetAndDestroy()
  }

  pause(): void {
    if (!this.#isEnding) this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  setTtl(options: Pick<SocketOptions, 'ttl' | 'minTtl'>): void {
    const fd = fdOf(this.#socket)
    if (fd !== undefined) setTcpTtl(fd, this.remoteAddr.family, options)
  }

  #written(): void {
    if (!this.#isBehind || this.#socket.destroyed || this.#socket.writableLength > 0) return
    this.#isBehind = false
    if (!this.#isEnding) this.#handlers?.onDrain()
  }
}
