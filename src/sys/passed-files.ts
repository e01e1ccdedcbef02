// Receives open files that another process of this machine passes over a unix socket (unix(7), SCM_RIGHTS; cmsg(3)).
// They come with the first byte that was sent together with them. Node reads with read(2): files that come later are closed by the kernel.
import { closeFd, libc, SysError, withPointer } from './libc.ts'

const SOL_SOCKET = 1
const SCM_RIGHTS = 1
const MSG_CTRUNC = 0x8
const MSG_DONTWAIT = 0x40
const MSG_CMSG_CLOEXEC = 0x40000000

/** struct msghdr and struct iovec of a 64-bit machine (include/linux/socket.h), and struct cmsghdr, which its data follows. */
const msghdrBytes = 56
const controlAt = 32
const flagsAt = 48
const iovecBytes = 16
const cmsghdrBytes = 16

/** Open files that came over a socket. They belong to the holder of this, who closes them by disposing of it. */
export class PassedFiles implements Disposable {
  #fds: readonly number[]

  constructor(fds: readonly number[] = []) {
    this.#fds = fds
  }

  /** The descriptors, in the order in which they were passed; none once they are closed. */
  get fds(): readonly number[] {
    return this.#fds
  }

  [Symbol.dispose](): void {
    for (const fd of this.#fds) closeFd(fd)
    this.#fds = []
  }
}

export type Arrival = {
  /** Empty at the end of the stream. */
  readonly bytes: Uint8Array
  readonly files: PassedFiles
  /** More files were passed than there was room for; the kernel has closed those. */
  readonly isCut: boolean
}

/** The descriptors in the control messages of `control`, whose first `length` bytes the kernel filled. */
function descriptorsIn(control: Uint8Array, length: number): number[] {
  const view = new DataView(control.buffer, control.byteOffset, length)
  const found: number[] = []
  for (let at = 0; at + cmsghdrBytes <= length;) {
    const size = Number(view.getBigUint64(at, true))
    if (size < cmsghdrBytes || at + size > length) break
    if (view.getInt32(at + 8, true) === SOL_SOCKET && view.getInt32(at + 12, true) === SCM_RIGHTS)
      for (let each = at + cmsghdrBytes; each + 4 <= at + size; each += 4) found.push(view.getInt32(each, true))
    at += Math.ceil(size / 8) * 8
  }
  return found
}

/**
 * Takes up to `maxBytes` off a unix socket, and up to `maxFiles` open files that came with them (one more where that is odd, as the kernel
 * aligns); undefined when nothing is there now. Throws SysError when the connection has failed.
 */
export function receivePassing(fd: number, maxBytes: number, maxFiles: number): Arrival | undefined {
  const bytes = new Uint8Array(maxBytes)
  const control = new Uint8Array(cmsghdrBytes + Math.ceil(maxFiles / 2) * 8)
  const part = new Uint8Array(iovecBytes)
  const message = new Uint8Array(msghdrBytes)
  const view = new DataView(message.buffer)
  const receive = (bytesAt: bigint, controlPointer: bigint): number => {
    new BigUint64Array(part.buffer).set([bytesAt, BigInt(maxBytes)])
    return withPointer(part, (partAt) => {
      // name and its length stay empty: the peer's address is not asked for
      view.setBigUint64(16, partAt, true)
      view.setBigUint64(24, 1n, true)
      view.setBigUint64(controlAt, controlPointer, true)
      view.setBigUint64(controlAt + 8, BigInt(control.length), true)
      return libc('recvmsg', [fd, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC], 'unix socket')
    })
  }
  try {
    const count = withPointer(bytes, (bytesAt) => withPointer(control, (at) => receive(bytesAt, at)))
    const length = Number(view.getBigUint64(controlAt + 8, true))
    return {
      bytes: bytes.subarray(0, count),
      files: new PassedFiles(descriptorsIn(control, length)),
      isCut: (view.getInt32(flagsAt, true) & MSG_CTRUNC) !== 0,
    }
  } catch (error) {
    if (error instanceof SysError && error.code === 'EAGAIN') return undefined
    throw error
  }
}
