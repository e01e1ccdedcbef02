// UDP for BFD sessions: sockets prepared as RFC 5881 asks for (sys/bfd-socket.ts). Receiving is driven by Node's event loop; sending is
// a system call.
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import {
  type BfdDatagram,
  type BfdPath,
  type BfdReceiver,
  type BfdSender,
  type BfdTransport,
} from '#/bgp/bfd/transport.ts'
import { Addr, type Family } from '#/lib/addr.ts'
import { type Logger } from '#/lib/log.ts'
import { bfdControlPort, bfdReceiveSocket, bfdSendSocket } from '#/sys/bfd-socket.ts'
import { closeFd } from '#/sys/libc.ts'
import { deviceName, receiveFrom, send } from '#/sys/socket.ts'
import { isNoSuchFamily, kernelWords, listenError } from './socket-errors.ts'

type OnDatagram = (datagram: BfdDatagram) => void

/** A control packet has 24 octets, with any authentication at most 52. What is longer is cut. */
const datagramBytes = 64
/** Sessions must not starve each other when somebody floods the port. */
const drainDatagrams = 10_000

export class UdpBfdTransport implements BfdTransport {
  readonly #log: Logger

  constructor(deps: { readonly log: Logger }) {
    this.#log = deps.log
  }

  listen(onDatagram: OnDatagram): BfdReceiver {
    const receivers: FamilyReceiver[] = []
    const dispose = (): void => receivers.forEach((each) => each[Symbol.dispose]())
    try {
      for (const family of [4, 6] as const) {
        const fd = receiveSocket(family)
        if (fd !== undefined) receivers.push(new FamilyReceiver({ family, fd }, { onDatagram, log: this.#log }))
      }
    } catch (error) {
      dispose()
      throw listenError(error, 'udp', bfdControlPort)
    }
    return { drain: () => receivers.forEach((each) => each.drain()), [Symbol.dispose]: dispose }
  }

  sender(path: BfdPath): BfdSender {
    return new UdpBfdSender(path, { log: this.#log })
  }
}

/** undefined: this kernel does not have that family. */
function receiveSocket(family: Family): number | undefined {
  try {
    return bfdReceiveSocket(family)
  } catch (error) {
    if (family === 6 && isNoSuchFamily(error)) return undefined
    throw error
  }
}

class FamilyReceiver implements BfdReceiver {
  readonly #fd: number
  readonly #onDatagram: OnDatagram
  readonly #socket: Socket
  readonly #buffer = new Uint8Array(datagramBytes)
  #isClosed = false

  constructor(
    options: { readonly family: Family; readonly fd: number },
    deps: { readonly onDatagram: OnDatagram; readonly log: Logger },
  ) {
    this.#fd = options.fd
    this.#onDatagram = deps.onDatagram
    this.#socket = createSocket(options.family === 4 ? 'udp4' : 'udp6')
    this.#socket.on('error', (error) => deps.log.warn('BFD cannot receive', { error: kernelWords(error) }))
    this.#socket.on('message', (bytes, from) => this.#onDatagram({ bytes, ...senderOf(from) }))
    this.#socket.bind({ fd: options.fd, exclusive: true })
  }

  drain(): void {
    for (let count = 0; count < drainDatagrams && !this.#isClosed; count++) {
      const received = receiveFrom(this.#fd, this.#buffer)
      if (received === undefined) return
      const { bytes, from, scopeId } = received
      const device = scopeId === undefined ? undefined : deviceName(this.#fd, scopeId)
      this.#onDatagram({ bytes, from, ...(device !== undefined && { device }) })
    }
  }

  [Symbol.dispose](): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#socket.close()
  }
}

/** Node gives link-local senders as "fe80::1%eth0". */
function senderOf({ address }: RemoteInfo): Pick<BfdDatagram, 'from' | 'device'> {
  const [addr = '', device] = address.split('%')
  return { from: Addr.parse(addr), ...(device !== undefined && { device }) }
}

/**
 * Its socket is opened when something is sent, and anew after it failed: addresses and devices come and go, and a socket stays with a
 * device that is gone.
 */
class UdpBfdSender implements BfdSender {
  readonly #path: BfdPath
  readonly #log: Logger
  #fd: number | undefined
  #port: number | undefined
  #isFailing = false

  constructor(path: BfdPath, deps: { readonly log: Logger }) {
    this.#path = path
    this.#log = deps.log
  }

  send(bytes: Uint8Array): void {
    try {
      send(this.#open(), bytes)
      this.#isFailing = false
    } catch (error) {
      const words = kernelWords(error)
      // the other side told that nobody listens there: that is no fault of this socket
      if (words.startsWith('ECONNREFUSED')) return
      this[Symbol.dispose]()
      if (!this.#isFailing) this.#log.warn('BFD cannot send', { neighbour: String(this.#path.addr), error: words })
      this.#isFailing = true
    }
  }

  #open(): number {
    if (this.#fd === undefined) {
      const { fd, port } = bfdSendSocket(this.#path, this.#port)
      this.#fd = fd
      this.#port = port
    }
    return this.#fd
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeFd(this.#fd)
    this.#fd = undefined
  }
}
