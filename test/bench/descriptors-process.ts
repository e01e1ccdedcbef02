// Waits for datagrams on many sockets in one of three ways, and tells how late it was and what it cost. Arguments: the way, and how many
// sockets. 'begin' is answered with the sockets' ports, 'report' with what was since. The process ends with its parent.
import { read, readdirSync } from 'node:fs'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import koffi from 'koffi'
import { Addr } from '#/lib/addr.ts'
import { POLLIN, watchFd } from '#/sys/fd-watcher.ts'
import { libc } from '#/sys/libc.ts'
import { bindTo, socketAddress } from '#/sys/socket.ts'
import { monotonicMs } from './clock.ts'

/** With the watcher; with a read(2) for each that blocks a thread of the pool; with a poll(2) of all every millisecond. */
export type Way = 'watcher' | 'reads' | 'polls'

export type DescriptorReport = {
  readonly cpuMs: number
  readonly wallMs: number
  readonly residentMiB: number
  readonly threads: number
  /** From sending a datagram until it was taken. */
  readonly latenciesMs: readonly number[]
}

const AF_INET = 2
const SOCK_DGRAM_CLOEXEC = 0x80002
const MSG_DONTWAIT = 0x40

const loopback = Addr.parse('127.0.0.1')
const buffers = new Map<number, Float64Array>()
let latenciesMs: number[] = []

function taken(fd: number): void {
  latenciesMs.push(monotonicMs() - buffers.get(fd)![0]!)
}

function take(fd: number): void {
  libc('recv', [fd, buffers.get(fd), 8, MSG_DONTWAIT])
  taken(fd)
}

/** As kernel notifications were waited for. */
function readOn(fd: number): void {
  const buffer = buffers.get(fd)!
  read(fd, buffer, 0, 8, null, (error) => {
    if (error) throw error
    taken(fd)
    readOn(fd)
  })
}

/** As probes waited for their sockets. */
async function pollOn(fds: readonly number[]): Promise<void> {
  const poll = koffi.load('libc.so.6').func('int poll(void *, ulong, int)') as (...args: unknown[]) => number
  const interests = new Int32Array(fds.flatMap((fd) => [fd, POLLIN]))
  for (;;) {
    const count = poll(interests, fds.length, 0)
    for (const [index, fd] of fds.entries()) if (interests[2 * index + 1]! >>> 16 !== 0) take(fd)
    await (count > 0 ? setImmediate() : sleep(1))
  }
}

const [way, count] = process.argv.slice(2) as [Way, string]
const fds = Array.from({ length: Number(count) }, () => {
  const fd = libc('socket', [AF_INET, SOCK_DGRAM_CLOEXEC, 0])
  bindTo(fd, loopback, 0)
  buffers.set(fd, new Float64Array(1))
  return fd
})
if (way === 'watcher') for (const fd of fds) watchFd(fd, POLLIN, () => take(fd))
else if (way === 'reads') fds.forEach(readOn)
else void pollOn(fds)

let begun = { cpu: process.cpuUsage(), atMs: performance.now() }
process.on('message', (message) => {
  if (message === 'begin') {
    latenciesMs = []
    begun = { cpu: process.cpuUsage(), atMs: performance.now() }
    process.send!(fds.map((fd) => socketAddress(fd, 'local').port))
  } else {
    const { user, system } = process.cpuUsage(begun.cpu)
    const report: DescriptorReport = {
      cpuMs: (user + system) / 1000,
      wallMs: performance.now() - begun.atMs,
      residentMiB: process.memoryUsage.rss() / (1 << 20),
      threads: readdirSync('/proc/self/task').length,
      latenciesMs,
    }
    process.send!(report)
  }
})
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
process.send!('ready')
