// The one table of C functions we call, with their prototypes (a wrong one ends the process: test/netns/libc.test.ts
// calls each). Only src/sys imports this.
import { constants } from 'node:os'
import koffi from 'koffi'
import { errnoName } from './errno.ts'

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
  recvmsg: 'long recvmsg(int, void *, int)',
  setsockopt: 'int setsockopt(int, int, int, const void *, uint32)',
  getsockopt: 'int getsockopt(int, int, int, void *, void *)',
  close: 'int close(int)',
  getsockname: 'int getsockname(int, void *, void *)',
  getpeername: 'int getpeername(int, void *, void *)',
  epoll_create1: 'int epoll_create1(int)',
  epoll_ctl: 'int epoll_ctl(int, int, int, const void *)',
  epoll_wait: 'int epoll_wait(int, void *, int, int)',
  poll: 'int poll(void *, ulong, int)',
  pipe2: 'int pipe2(void *, int)',
  ioctl: 'int ioctl(int, ulong, void *)',
  clock_gettime: 'int clock_gettime(int, void *)',
  setns: 'int setns(int, int)',
  unshare: 'int unshare(int)',
  mount: 'int mount(const char *, const char *, const char *, ulong, const void *)',
  umount2: 'int umount2(const char *, int)',
  fcntl: 'int fcntl(int, int, int)',
  // the C library has no function for bpf(2)
  syscall: 'long syscall(long, int, void *, uint32)',
  mmap: 'int64 mmap(void *, size_t, int, int, int, int64)',
  munmap: 'int munmap(void *, size_t)',
  sysconf: 'long sysconf(int)',
  malloc_trim: 'int malloc_trim(size_t)',
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

/** A system call failed. `code` is the errno's name, as in Node's own errors. */
export class SysError extends Error {
  override name = 'SysError'
  readonly code: string

  constructor(call: string, errno: number, about?: string) {
    super(`${call}${about ? ` ${about}` : ''}: ${errnoName(errno)}`)
    this.code = errnoName(errno)
  }
}

/** The bytes of a C int. */
export function int32(value: number): Uint8Array {
  return new Uint8Array(new Int32Array([value]).buffer)
}

/**
 * Gives `use` the address of a copy that does not move, for structures that hold a pointer. The copy is freed when `use` returns; what
 * the kernel wrote there stands in `bytes` then.
 */
export function withPointer<T>(bytes: Uint8Array, use: (address: bigint) => T): T {
  const memory: unknown = koffi.alloc('uint8', bytes.length)
  try {
    koffi.encode(memory, 'uint8', bytes, bytes.length)
    const result = use(koffi.address(memory))
    bytes.set(koffi.decode(memory, 'uint8', bytes.length) as Uint8Array)
    return result
  } finally {
    koffi.free(memory)
  }
}

/** Memory that stays where it is, for structures that hold pointers, and for what the kernel maps. */
export type NativeMemory = { readonly address: bigint; readonly bytes: Uint8Array }

/** Memory of our own. Disposing of it frees it: nothing may touch `bytes` afterwards. */
export function allocate(length: number): NativeMemory & Disposable {
  const memory: unknown = koffi.alloc('uint8', length)
  const bytes = new Uint8Array(koffi.view(memory, length))
  return { address: koffi.address(memory), bytes, [Symbol.dispose]: () => koffi.free(memory) }
}

/** Memory of the kernel's at an address that `mmap` gave; it may not be touched after `munmap`. */
export function mappedMemory(address: bigint, length: number): NativeMemory {
  return { address, bytes: new Uint8Array(koffi.view(address, length)) }
}

/** Calls a C function and returns its result; throws SysError when that is negative. Calls again after EINTR. */
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
 * Closes a descriptor that a C function gave; node:fs warns in a worker of those that it did not open. EINTR is not tried again: Linux has
 * closed the descriptor then too, and another file may have its number by now.
 */
export function closeFd(fd: number): void {
  resolve('close')(fd)
}

const F_DUPFD_CLOEXEC = 1030

/** Another descriptor of the same open file. */
export function duplicateFd(fd: number): number {
  return libc('fcntl', [fd, F_DUPFD_CLOEXEC, 3], `descriptor ${fd}`)
}

/** Arguments of calls on other threads: the FFI holds no reference to them, and they must not be garbage-collected meanwhile. */
const lent = new Set<readonly unknown[]>()

/** Makes one call on a thread of libuv's pool and gives its result, or its errno. */
async function callAside(name: LibcName, args: readonly unknown[]): Promise<{ result: number; errno: number }> {
  const { promise, resolve: done, reject } = Promise.withResolvers<{ result: number; errno: number }>()
  lent.add(args)
  resolve(name).async(...args, (error: Error | null, result: number) => {
    // koffi.errno() is the other thread's only inside of this callback
    const errno = koffi.errno()
    lent.delete(args)
    if (error) reject(error)
    else done({ result, errno })
  })
  return promise
}

/** Calls as `libc` does, but on a thread of libuv's pool: for calls that take the kernel long. */
export async function libcAside(name: LibcName, args: readonly unknown[], about?: string): Promise<number> {
  for (;;) {
    const { result, errno } = await callAside(name, args)
    if (result >= 0) return result
    if (errno !== constants.errno.EINTR) throw new SysError(name, errno, about)
  }
}
