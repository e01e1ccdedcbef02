// Every C function that we call, called once: a prototype that is wrong ends the process or gives nonsense.
import assert from 'node:assert/strict'
import { readFileSync, readSync } from 'node:fs'
import { test } from 'node:test'
import { duplicateFd, int32, libc, libcAside, type LibcName, mappedMemory, SysError } from '#/sys/libc.ts'
import { NETLINK_ROUTE, RequestSocket } from '#/sys/netlink-socket.ts'
import { AsyncNetlink } from '#/kernel/async-netlink.ts'
import { KernelError } from '#/kernel/netlink.ts'
import { TestNetns } from './namespace.ts'

const AF_INET = 2
const SOCK_STREAM = 1
const SOCK_DGRAM = 2
const NONBLOCK_CLOEXEC = 0x80800
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const SO_RCVBUF = 8
const SIOCGIFNAME = 0x8910
const CLONE_NEWNET = 0x40000000

/** struct sockaddr_in of 127.0.0.1. */
function loopback(port: number): Uint8Array {
  return Uint8Array.of(AF_INET, 0, port >> 8, port & 255, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0)
}

function portOf(name: Uint8Array): number {
  return (name[2]! << 8) | name[3]!
}

const readyEvent = { bytes: process.arch === 'x64' ? 12 : 16, dataOffset: process.arch === 'x64' ? 4 : 8 }

function fails(name: LibcName, args: readonly unknown[], code: string): void {
  assert.throws(
    () => libc(name, args),
    (error) => error instanceof SysError && error.code === code,
    name,
  )
}

class Sockets implements Disposable {
  readonly #fds: number[] = []

  add(fd: number): number {
    assert.ok(fd > 2)
    this.#fds.push(fd)
    return fd
  }

  open(type: number): number {
    return this.add(libc('socket', [AF_INET, type | NONBLOCK_CLOEXEC, 0]))
  }

  [Symbol.dispose](): void {
    for (const fd of this.#fds) assert.equal(libc('close', [fd]), 0)
  }
}

function udp(): void {
  using sockets = new Sockets()
  const fd = sockets.open(SOCK_DGRAM)
  libc('bind', [fd, loopback(0), 16])
  const name = new Uint8Array(28)
  const length = int32(name.length)
  libc('getsockname', [fd, name, length])
  assert.deepEqual([...length], [...int32(16)])
  assert.equal(libc('sendto', [fd, Uint8Array.of(1, 2, 3), 3, 0, loopback(portOf(name)), 16]), 3)
  assert.equal(libc('sendto', [fd, Uint8Array.of(4), 1, 0, loopback(portOf(name)), 16]), 1)
  const from = new Uint8Array(28)
  const got = new Uint8Array(8)
  assert.equal(libc('recvfrom', [fd, got, got.length, 0, from, int32(from.length)]), 3)
  assert.deepEqual([...got], [1, 2, 3, 0, 0, 0, 0, 0])
  assert.equal(portOf(from), portOf(name))
  assert.equal(libc('recv', [fd, got, got.length, 0]), 1)
  assert.equal(got[0], 4)
  fails('recv', [fd, got, got.length, 0], 'EAGAIN')
}

function tcp(): void {
  using sockets = new Sockets()
  const [listener, client] = [sockets.open(SOCK_STREAM), sockets.open(SOCK_STREAM)]
  libc('setsockopt', [listener, SOL_SOCKET, SO_REUSEADDR, int32(1), 4])
  const value = int32(0)
  libc('getsockopt', [listener, SOL_SOCKET, SO_REUSEADDR, value, int32(4)])
  assert.deepEqual(value, int32(1))
  libc('bind', [listener, loopback(0), 16])
  libc('listen', [listener, 1])
  const name = new Uint8Array(16)
  libc('getsockname', [listener, name, int32(16)])
  fails('connect', [client, loopback(portOf(name)), 16], 'EINPROGRESS')
  const peer = new Uint8Array(16)
  const accepted = sockets.add(libc('accept4', [listener, peer, int32(16), NONBLOCK_CLOEXEC]))
  libc('getpeername', [accepted, name, int32(16)])
  assert.deepEqual(name, peer)
}

function epoll(): void {
  using sockets = new Sockets()
  const ends = new Int32Array(2)
  libc('pipe2', [ends, NONBLOCK_CLOEXEC])
  const [out, into] = [sockets.add(ends[0]!), sockets.add(ends[1]!)]
  const fd = sockets.add(libc('epoll_create1', [0x80000]))
  const event = new Uint8Array(readyEvent.bytes)
  event[0] = 4
  event.fill(0xa5, readyEvent.dataOffset, readyEvent.dataOffset + 8)
  libc('epoll_ctl', [fd, 1, into, event])
  fails('epoll_ctl', [fd, 1, into, event], 'EEXIST')
  const told = new Uint8Array(2 * readyEvent.bytes)
  assert.equal(libc('epoll_wait', [fd, told, 2, 0]), 1)
  assert.deepEqual(told.subarray(0, readyEvent.bytes), event)
  // struct pollfd: the descriptor, what is asked, what is so
  const asked = new Int16Array(4)
  new Int32Array(asked.buffer)[0] = into
  asked[2] = 4
  assert.deepEqual([libc('poll', [asked, 1, 0]), asked[3]], [1, 4])
  assert.throws(() => readSync(out, new Uint8Array(1)), { code: 'EAGAIN' })
}

function clock(): void {
  const time = new BigInt64Array(2)
  libc('clock_gettime', [7, time])
  const seconds = Number(time[0]) + Number(time[1]) / 1e9
  const uptime = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0])
  assert.ok(Math.abs(seconds - uptime) < 5, `${seconds} s, ${uptime} s`)
}

function ioctl(): void {
  using sockets = new Sockets()
  const request = new Uint8Array(40)
  request.set(int32(1), 16)
  libc('ioctl', [sockets.open(SOCK_DGRAM), SIOCGIFNAME, request])
  assert.equal(Buffer.from(request.subarray(0, 3)).toString(), 'lo\0')
}

function anonymousMemory(): void {
  const [readAndWrite, privateAndAnonymous] = [3, 0x22]
  const address = BigInt(libc('mmap', [null, 8192, readAndWrite, privateAndAnonymous, -1, 0]))
  const { bytes } = mappedMemory(address, 8192)
  bytes[8191] = 7
  assert.equal(bytes[8191], 7)
  assert.equal(bytes[0], 0)
  assert.equal(libc('munmap', [address, 8192]), 0)
  fails('mmap', [null, 0, readAndWrite, privateAndAnonymous, -1, 0], 'EINVAL')
}

const bpfNumber = process.arch === 'x64' ? 321 : 280

/** Those that would change this process are asked for what they must refuse: that they understood what is asked shows in how. */
const calls: Readonly<Record<LibcName, () => void>> = {
  socket: udp,
  bind: udp,
  sendto: udp,
  recv: udp,
  recvfrom: udp,
  recvmsg: () => {
    using sockets = new Sockets()
    fails('recvmsg', [sockets.open(SOCK_DGRAM), new Uint8Array(56), 0], 'EAGAIN')
  },
  getsockname: udp,
  close: () => fails('close', [1_000_000], 'EBADF'),
  connect: tcp,
  listen: tcp,
  accept4: tcp,
  setsockopt: tcp,
  getsockopt: tcp,
  getpeername: tcp,
  epoll_create1: epoll,
  epoll_ctl: epoll,
  epoll_wait: epoll,
  poll: epoll,
  pipe2: epoll,
  ioctl,
  clock_gettime: clock,
  setns: () => {
    fails('setns', [1_000_000, CLONE_NEWNET], 'EBADF')
    using host = new TestNetns()
    assert.notEqual(
      host.netns.run(() => readFileSync('/proc/thread-self/net/dev', 'utf8')),
      '',
    )
  },
  unshare: () => fails('unshare', [0x1], 'EINVAL'),
  mount: () => fails('mount', ['', '/proc/none', 'none', 0x1000, null], 'ENOENT'),
  malloc_trim: () => assert.ok(libc('malloc_trim', [0]) >= 0),
  umount2: () => fails('umount2', ['/proc/none', 2], 'ENOENT'),
  fcntl: () => {
    const copy = duplicateFd(1)
    assert.ok(copy > 2)
    assert.equal(libc('close', [copy]), 0)
    fails('fcntl', [1_000_000, 1030, 3], 'EBADF')
  },
  // BPF_OBJ_GET of no path
  syscall: () => fails('syscall', [bpfNumber, 7, new Uint8Array(144), 144], 'EFAULT'),
  mmap: anonymousMemory,
  munmap: anonymousMemory,
  sysconf: () => assert.ok([4096, 16_384, 65_536].includes(libc('sysconf', [30]))),
}

for (const [name, call] of Object.entries(calls)) test(name, call)

test('a call on another thread that fails has the errno of that call, whatever happens beside it', async () => {
  const codes = await Promise.all(
    Array.from({ length: 60 }, async (_, index) => {
      const [name, args] = (
        [
          ['close', [1_000_000]],
          ['setns', [0, CLONE_NEWNET]],
          ['umount2', ['/proc/none', 2]],
        ] as const
      )[index % 3]!
      const code = libcAside(name, args).catch((error: unknown) => (error instanceof SysError ? error.code : error))
      fails('pipe2', [null, 0], 'EFAULT')
      return code
    }),
  )
  assert.deepEqual(
    codes,
    codes.map((_, index) => ['EBADF', 'EINVAL', 'ENOENT'][index % 3]),
  )
})

test('a call on another thread fills the bytes that it was given', async () => {
  using sockets = new Sockets()
  const fd = sockets.open(SOCK_DGRAM)
  libc('bind', [fd, loopback(0), 16])
  const value = int32(0)
  await libcAside('getsockopt', [fd, SOL_SOCKET, SO_RCVBUF, value, int32(4)])
  assert.ok(new DataView(value.buffer).getInt32(0, true) > 0)
})

test('a netlink message that the kernel does not take has its errno, on this thread and on another', async () => {
  using socket = new RequestSocket(NETLINK_ROUTE)
  // more than the send buffer holds
  const tooMuch = new Uint8Array(64 << 20)
  const isTooMuch = (error: unknown): boolean => error instanceof SysError && error.code === 'EMSGSIZE'
  assert.throws(() => socket.send(tooMuch), isTooMuch)
  await assert.rejects(socket.sendAside(tooMuch), isTooMuch)
})

test('an operation that the kernel refuses on another thread has its errno', async () => {
  using host = new TestNetns()
  using netlink = new AsyncNetlink(host.netns)
  const bytes = new Uint8Array(16)
  // an interface that is not there
  new DataView(bytes.buffer).setInt32(4, 999_999, true)
  await assert.rejects(
    netlink.execute({ what: 'ip link del index 999999', type: 17, payload: bytes }),
    (error) => error instanceof KernelError && error.code === 'ENODEV',
  )
})
