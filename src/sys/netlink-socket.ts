// Raw AF_NETLINK sockets: open, send, receive. src/kernel encodes and decodes the messages.
import { POLLIN, watchFd } from './fd-watcher.ts'
import { closeFd, int32, libc, libcAside, SysError } from './libc.ts'
import { runInNetnsOf } from './netns.ts'

const AF_NETLINK = 16
const SOCK_RAW = 3
const MSG_DONTWAIT = 0x40
const SOCK_CLOEXEC = 0x80000
const SOL_SOCKET = 1
const SO_RCVTIMEO = 20
const SO_SNDBUFFORCE = 32
const SO_RCVBUFFORCE = 33
const SOL_NETLINK = 270
const NETLINK_ADD_MEMBERSHIP = 1
const NETLINK_CAP_ACK = 10
const NETLINK_EXT_ACK = 11
const NETLINK_GET_STRICT_CHK = 12

export const NETLINK_ROUTE = 0
export const NETLINK_SOCK_DIAG = 4
export const NETLINK_NETFILTER = 12

const receiveBufferBytes = 4 << 20
/** An nftables transaction goes in one send: this holds some hundred thousand set elements. */
const sendBufferBytes = 16 << 20
/** The kernel fills at most 32 KiB at once (NLMSG_GOODSIZE and min_dump_alloc); twice that is room for all. */
const datagramBytes = 64 << 10
const kernelTimeoutSeconds = 10

function address(portId: number): Uint8Array {
  const bytes = new Uint8Array(12)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, AF_NETLINK, true)
  view.setUint32(4, portId, true)
  return bytes
}

const kernelAddress = address(0)

/** Buffers of closed sockets: most sockets live for a few requests in a pod's namespace, and a new buffer for each costs more than them. */
const spareBuffers: Uint8Array[] = []
const maxSpareBuffers = 4

/** Opens a socket; one that is `brief` keeps the kernel's own buffer sizes, which do for requests about one pod. */
function open(protocol: number, isBrief = false): number {
  const fd = libc('socket', [AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol], 'AF_NETLINK')
  try {
    libc('setsockopt', [fd, SOL_NETLINK, NETLINK_EXT_ACK, int32(1), 4], 'NETLINK_EXT_ACK')
    libc('setsockopt', [fd, SOL_NETLINK, NETLINK_CAP_ACK, int32(1), 4], 'NETLINK_CAP_ACK')
    libc('setsockopt', [fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, int32(1), 4], 'NETLINK_GET_STRICT_CHK')
    if (!isBrief) {
      libc('setsockopt', [fd, SOL_SOCKET, SO_RCVBUFFORCE, int32(receiveBufferBytes), 4], 'SO_RCVBUFFORCE')
      libc('setsockopt', [fd, SOL_SOCKET, SO_SNDBUFFORCE, int32(sendBufferBytes), 4], 'SO_SNDBUFFORCE')
    }
    libc('bind', [fd, kernelAddress, 12], 'AF_NETLINK')
    return fd
  } catch (error) {
    closeFd(fd)
    throw error
  }
}

function portIdOf(fd: number): number {
  const name = new Uint8Array(12)
  libc('getsockname', [fd, name, int32(12)], 'AF_NETLINK')
  return new DataView(name.buffer).getUint32(4, true)
}

/** A socket for requests: blocking, answered by the kernel within the call. It belongs to the namespace in which it is made. */
export class RequestSocket {
  readonly #protocol: number
  readonly #fd: number
  readonly #buffer = spareBuffers.pop() ?? new Uint8Array(datagramBytes)
  #portId: number | undefined

  constructor(protocol: number, isBrief = false) {
    this.#protocol = protocol
    this.#fd = open(protocol, isBrief)
    const timeout = new Uint8Array(new BigInt64Array([BigInt(kernelTimeoutSeconds), 0n]).buffer)
    libc('setsockopt', [this.#fd, SOL_SOCKET, SO_RCVTIMEO, timeout, 16], 'SO_RCVTIMEO')
  }

  /** The kernel's number for this socket. */
  get portId(): number {
    return (this.#portId ??= portIdOf(this.#fd))
  }

  /** Opens another socket of the same protocol in this socket's namespace, wherever the calling thread is. */
  sibling(): RequestSocket {
    return runInNetnsOf(this.#fd, () => new RequestSocket(this.#protocol))
  }

  send(bytes: Uint8Array): void {
    libc('sendto', [this.#fd, bytes, bytes.length, 0, kernelAddress, 12], 'netlink')
  }

  /** Sends on another thread, so that the event loop goes on while the kernel works. */
  async sendAside(bytes: Uint8Array): Promise<void> {
    await libcAside('sendto', [this.#fd, bytes, bytes.length, 0, kernelAddress, 12], 'netlink')
  }

  /** The next datagram; valid until the next call. Throws ENOBUFS when the kernel had to drop one. */
  receive(): Uint8Array {
    return this.#buffer.subarray(0, libc('recv', [this.#fd, this.#buffer, this.#buffer.length, 0], 'netlink'))
  }

  /** Nothing that `receive` gave may be used any more. */
  [Symbol.dispose](): void {
    closeFd(this.#fd)
    if (spareBuffers.length < maxSpareBuffers) spareBuffers.push(this.#buffer)
  }
}

/** A socket that listens to multicast groups, or to what it has asked the kernel to send. Reading never blocks. */
export class NotificationSocket {
  readonly #fd: number
  readonly #buffer = new Uint8Array(datagramBytes)
  #isClosed = false
  #endWait: (() => void) | undefined

  constructor(protocol: number, groups: readonly number[]) {
    this.#fd = open(protocol)
    for (const group of groups) {
      libc('setsockopt', [this.#fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, int32(group), 4], `netlink group ${group}`)
    }
  }

  /**
   * The next datagram, 'overflow' when the kernel dropped some (ENOBUFS), or undefined once closed. A datagram is valid until the
   * next one is asked for, and one is asked for at a time.
   */
  async receive(): Promise<Uint8Array | 'overflow' | undefined> {
    while (!this.#isClosed) {
      await this.#readable()
      const datagram = this.receiveNow()
      if (datagram !== undefined) return datagram
    }
    return undefined
  }

  /** Sends to the kernel, whose answer is received between the notifications. */
  send(bytes: Uint8Array): void {
    libc('sendto', [this.#fd, bytes, bytes.length, 0, kernelAddress, 12], 'netlink')
  }

  /** The next datagram as receive() gives it, if one has arrived; else undefined. */
  receiveNow(): Uint8Array | 'overflow' | undefined {
    if (this.#isClosed) return undefined
    try {
      const count = libc('recv', [this.#fd, this.#buffer, this.#buffer.length, MSG_DONTWAIT], 'netlink')
      return this.#buffer.subarray(0, count)
    } catch (error) {
      if (error instanceof SysError && error.code === 'EAGAIN') return undefined
      if (error instanceof SysError && error.code === 'ENOBUFS') return 'overflow'
      throw error
    }
  }

  /** Resolves when there is something to receive, or the socket is closed. */
  async #readable(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const end = (): void => {
      watch[Symbol.dispose]()
      this.#endWait = undefined
      resolve()
    }
    const watch = watchFd(this.#fd, POLLIN, end)
    this.#endWait = end
    return promise
  }

  /** Closes the socket, which ends a pending receive. */
  [Symbol.dispose](): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#endWait?.()
    closeFd(this.#fd)
  }
}
