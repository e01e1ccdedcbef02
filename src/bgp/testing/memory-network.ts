// For tests: TCP between hosts in memory, with what goes wrong with TCP. Nothing happens within a call, everything in turns of the
// clock's queue.
import { type Addr } from '#/lib/addr.ts'
import {
  type Connection,
  type ConnectionHandlers,
  type ConnectOptions,
  type Listener,
  type SocketOptions,
  type Transport,
} from '../contract.ts'

type Defer = (call: () => void) => void

/** What the kernels of both sides hold before the sender has to wait. */
const kernelBytes = 64 * 1024

const noHandlers: ConnectionHandlers = { onData() {}, onDrain() {}, onClose() {} }

export class MemoryConnection implements Connection {
  readonly localAddr: Addr
  readonly remoteAddr: Addr
  readonly device?: string
  handlers: ConnectionHandlers = noHandlers
  /** As given by whoever has it. */
  ttl: Pick<SocketOptions, 'ttl' | 'minTtl'> = {}
  other!: MemoryConnection
  readonly #network: MemoryNetwork
  /** For the other side. */
  readonly #sent: Uint8Array[] = []
  #sentBytes = 0
  #isPaused = false
  #isEnding = false
  #isClosed = false
  #wantsDrain = false
  #isCarried = false

  constructor(network: MemoryNetwork, options: { localAddr: Addr; remoteAddr: Addr; device: string | undefined }) {
    this.#network = network
    this.localAddr = options.localAddr
    this.remoteAddr = options.remoteAddr
    if (options.device !== undefined) this.device = options.device
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  get queuedBytes(): number {
    return Math.max(0, this.#sentBytes - kernelBytes)
  }

  write(bytes: Uint8Array): boolean {
    if (this.#isClosed || this.#isEnding) return false
    this.#sent.push(Uint8Array.from(bytes))
    this.#sentBytes += bytes.length
    if (this.queuedBytes > 0) this.#wantsDrain = true
    this.carry()
    return this.queuedBytes === 0
  }

  end(): void {
    this.#isEnding = true
    this.carry()
  }

  destroy(error?: Error): void {
    if (this.#isClosed) return
    this.#close(error)
    this.other.reset('ECONNRESET: connection reset by peer')
  }

  /** As RST from the other side does it: what was on its way is lost. */
  reset(words: string): void {
    this.#network.defer(() => this.#close(new Error(words)))
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.other.carry()
  }

  setTtl(options: Pick<SocketOptions, 'ttl' | 'minTtl'>): void {
    this.ttl = options
  }

  /** Lets what was sent arrive, one chunk a turn. */
  carry(): void {
    if (this.#isClosed || this.#isCarried || this.other.#isPaused || this.#network.isCut) return
    if (this.#sent.length === 0 && !this.#isEnding) return
    this.#isCarried = true
    this.#network.defer(() => {
      this.#isCarried = false
      this.#arrive()
      this.carry()
    })
  }

  #arrive(): void {
    if (this.other.#isPaused || this.#network.isCut) return
    const bytes = this.#sent.shift()
    if (bytes === undefined) return this.#finish()
    this.#sentBytes -= bytes.length
    if (!this.other.#isClosed) this.other.handlers.onData(bytes)
    else if (!this.#isClosed) this.reset('EPIPE: broken pipe')
    if (!this.#wantsDrain || this.queuedBytes > 0 || this.#isClosed) return
    this.#wantsDrain = false
    this.handlers.onDrain()
  }

  /** FIN has arrived: the other side closes too, as Node does with allowHalfOpen off. */
  #finish(): void {
    if (!this.#isEnding || this.#isClosed) return
    this.other.#close(undefined)
    this.#close(undefined)
  }

  #close(error: Error | undefined): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#network.defer(() => this.handlers.onClose(error))
  }
}

type Host = { readonly addrs: readonly Addr[]; listener: ((connection: Connection) => void) | undefined }

export class MemoryNetwork {
  readonly defer: Defer
  readonly #hosts: Host[] = []
  /** All that were ever made, in order, by the side that began. */
  readonly connections: MemoryConnection[] = []
  /** What listeners were told: address, password. */
  readonly passwords: [string, string | undefined][] = []
  /** As a kernel without CONFIG_TCP_MD5SIG. */
  refusesPasswords = false
  #isCut = false

  constructor(deps: { readonly defer: Defer }) {
    this.defer = deps.defer
  }

  /** Nothing arrives any more, and nobody is told. */
  get isCut(): boolean {
    return this.#isCut
  }

  cut(): void {
    this.#isCut = true
  }

  mend(): void {
    this.#isCut = false
    for (const connection of this.connections) {
      connection.carry()
      connection.other.carry()
    }
  }

  /** As if a host had died and come back: RST for all. */
  breakAll(): void {
    for (const connection of this.connections) {
      connection.reset('ECONNRESET: connection reset by peer')
      connection.other.reset('ECONNRESET: connection reset by peer')
    }
  }

  get open(): MemoryConnection[] {
    return this.connections.filter(({ isClosed }) => !isClosed)
  }

  host(...addrs: Addr[]): Transport {
    const host: Host = { addrs, listener: undefined }
    this.#hosts.push(host)
    return {
      connect: (options, signal) => this.#connect(host, options, signal),
      listen: (_port, onConnection): Listener => {
        if (host.listener !== undefined) throw new Error('EADDRINUSE: address already in use')
        host.listener = onConnection
        return {
          setPassword: (addr, password) => {
            if (this.refusesPasswords) throw new Error('ENOPROTOOPT: protocol not available')
            this.passwords.push([String(addr), password])
          },
          close: () => {
            host.listener = undefined
          },
        }
      },
    }
  }

  #connect(from: Host, options: ConnectOptions, signal: AbortSignal): Promise<Connection> {
    const { promise, resolve, reject } = Promise.withResolvers<Connection>()
    signal.addEventListener('abort', () => reject(new Error('ECANCELED: operation canceled')))
    this.defer(() => {
      if (signal.aborted || this.#isCut) return
      const to = this.#hosts.find(
        ({ addrs, listener }) => listener !== undefined && addrs.some((addr) => addr.equals(options.addr)),
      )
      const localAddr = options.localAddr ?? from.addrs.find(({ family }) => family === options.addr.family)
      if (localAddr === undefined) return reject(new Error('ENETUNREACH: network is unreachable'))
      if (to?.listener === undefined) return reject(new Error('ECONNREFUSED: connection refused'))
      const { device } = options
      const ours = new MemoryConnection(this, { localAddr, remoteAddr: options.addr, device })
      const theirs = new MemoryConnection(this, { localAddr: options.addr, remoteAddr: localAddr, device })
      ours.other = theirs
      theirs.other = ours
      this.connections.push(ours)
      to.listener(theirs)
      resolve(ours)
    })
    return promise
  }
}
