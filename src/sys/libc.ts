// The one table of C functions we call, with their prototypes (a wrong one ends the process: test/netns/libc.test.ts
// calls each). Only src/sys imports this.
import { constants } from 'node:os'
import koffi from 'koffi'

const lib = koffi.load('libc.so.6')

if (new Uint8Array(new Uint16Array([1]).buffer)[0] !== 1)
  throw new Error('Causeway runs on little-endian machines only')

type CFunction = {
  (...args: readonly unknown[]): number
  async(...args: readonly unknown[]): void
}

const prototypes = {
  socket: 'int socket(int, int, int)',
  bind: 'int bind(int, const void *, uint32)',
  connect: 'int connect(int, const void *, uint32)',
  listen: 'int listen(int, int)',
  accept4: 'int accept4(int, void *, void *, int)',
  sendto: 'long sendto(int, const void *, size_t, int, const void *, uint32)',
  recv: 'long recv(int, void *, size_t, int)',
  recvfrom: 'long recvfrom(int, void *, size_t, int, void *, void *)',
  setsockopt: 'int setsockopt(int, int, int, const void *, uint32)',
  getsockopt: 'int getsockopt(int, int, int, void *, void *)',
  close: 'int close(int)',
  getsockname: 'int getsockname(int, void *, void *)',
  getpeername: 'int getpeername(int, void *, void *)',
  poll: 'int poll(void *, ulong, int)',
  ioctl: 'int ioctl(int, ulong, void *)',
  clock_gettime: 'int clock_gettime(int, void *)',
  setns: 'int setns(int, int)',
  unshare: 'int unshare(int)',
  mount: 'int mount(const char *, const char *, const char *, ulong, const void *)',
  umount2: 'int umount2(const char *, int)',
} as const

export type LibcName = keyof typeof prototypes

const functions = new Map<LibcName, CFunction>()

function resolve(name: LibcName): CFunction {
  let call = functions.get(name)
  if (call === undefined) {
    call = lib.func(prototypes[name]) as CFunction
    functions.set(name, call)
  }
  return call
}

const errnoNames = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]))
// the same number as EWOULDBLOCK, and the name that man pages and Node use for it
errnoNames.set(constants.errno.EAGAIN, 'EAGAIN')

/** "EEXIST" for 17; "errno 999" for what this platform does not name. */
export function errnoName(errno: number): string {
  return errnoNames.get(errno) ?? `errno ${errno}`
}

/** A system call failed. `code` is the errno's name, as in Node's own errors. */
export class SysError extends Error {
  override name = 'SysError'
  readonly code: string

  constructor(call: string, errno: number, about?: string) {
    super(`${call}${about ? ` ${about}` : ''}: ${errnoName(errno)}`)
    this.code = errnoName(errno)
  }
}

/** A C int in memory. */
export function int32(value: number): Uint8Array {
  return new Uint8Array(new Int32Array([value]).buffer)
}

/** Lends a copy of the bytes that stays where it is, for structures that hold a pointer; gone when `use` returns. */
export function withPointer<T>(bytes: Uint8Array, use: (address: bigint) => T): T {
  const memory: unknown = koffi.alloc('uint8', bytes.length)
  try {
    koffi.encode(memory, 'uint8', bytes, bytes.length)
    return use(koffi.address(memory))
  } finally {
    koffi.free(memory)
  }
}

/** Calls a C function and returns its result, or throws SysError when that is negative. EINTR is tried again. */
export function libc(name: LibcName, args: readonly unknown[], about?: string): number {
  const call = resolve(name)
  for (;;) {
    const result = call(...args)
    if (result >= 0) return result
    const errno = koffi.errno()
    if (errno !== constants.errno.EINTR) throw new SysError(name, errno, about)
  }
}

/**
 * Closes a descriptor that a C function gave; node:fs warns in a thread of those that it did not open itself. Never tried again: Linux
 * has closed it also when it answers EINTR, and the number may be another's by then.
 */
export function closeFd(fd: number): void {
  resolve('close')(fd)
}

/** The same as `libc` on a thread of libuv's pool, for calls in which the kernel takes its time. Which errno it was is not known then. */
export async function libcAside(name: LibcName, args: readonly unknown[], about?: string): Promise<number> {
  const { promise, resolve: done, reject } = Promise.withResolvers<number>()
  resolve(name).async(...args, (error: Error | null, result: number) => {
    if (error) reject(error)
    else if (result < 0) reject(new SysError(name, constants.errno.EIO, about))
    else done(result)
  })
  return promise
}
