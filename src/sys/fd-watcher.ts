// Tells when descriptors are ready that Node cannot watch: netlink and raw sockets, captures, BPF ring buffers.
// All descriptors of a thread are in one epoll(7) instance, and one call waits for all of them on one thread of libuv's pool
// (docs/decisions/0009-one-watcher-of-descriptors.md). TCP and UDP are better off with node:net and node:dgram: libuv waits for those
// on the event loop itself.
import { readSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { viewOf } from '#/lib/bytes.ts'
import { closeFd, libc, libcAside, SysError } from './libc.ts'

/** Event bits, the same for poll(2) and epoll(7). */
export const POLLIN = 1
export const POLLOUT = 4

const EPOLL_CLOEXEC = 0x80000
const EPOLL_CTL_ADD = 1
const EPOLL_CTL_DEL = 2
const O_NONBLOCK = 0x800
const O_CLOEXEC = 0x80000

/** struct epoll_event: events, then 64 bits of ours. The kernel packs it on x86-64 alone (include/uapi/linux/eventpoll.h). */
const eventBytes = process.arch === 'x64' ? 12 : 16
const dataOffset = eventBytes - 8
/** Handlers that run in one turn of the event loop. Those of the other ready descriptors run in the next ones, oldest first. */
const handlersPerTurn = 32

type Watch = {
  readonly fd: number
  /** A number that tells this watch from an earlier one whose descriptor had the same number. */
  readonly generation: number
  readonly onReady: () => void
}

/** The generation of the wake-up pipe; no watch has it. */
const noGeneration = 0

/** The struct that epoll_ctl takes: which events to report, with the descriptor and generation to report them under. */
function epollEvent(events: number, { fd, generation }: Pick<Watch, 'fd' | 'generation'>): Uint8Array {
  const bytes = new Uint8Array(eventBytes)
  const view = viewOf(bytes)
  view.setUint32(0, events, true)
  view.setUint32(dataOffset, fd, true)
  view.setUint32(dataOffset + 4, generation, true)
  return bytes
}

/**
 * An epoll instance, and a pipe that ends a waiting call. A byte in the pipe does that, and so does closing the end that is written to:
 * Node owns that end, and when a thread is terminated it closes it before it waits for the pool. Without this a process or thread that
 * ends while a call waits would hang for ever.
 */
class Epoll implements Disposable {
  readonly #fd = libc('epoll_create1', [EPOLL_CLOEXEC])
  readonly #readEnd: number
  readonly #writeEnd: number
  readonly #writer: Socket
  readonly #events = new Uint8Array(handlersPerTurn * eventBytes)
  readonly #endWaiting = (): void => void this.#writer.destroy()
  #isWaiting = false
  #isWoken = false

  constructor() {
    const ends = new Int32Array(2)
    libc('pipe2', [ends, O_NONBLOCK | O_CLOEXEC])
    this.#readEnd = ends[0]!
    this.#writeEnd = ends[1]!
    this.#writer = new Socket({ fd: this.#writeEnd, readable: false, writable: true }).unref()
    this.add(POLLIN, { fd: this.#readEnd, generation: noGeneration })
    // process.exit() in the main thread waits for the pool too, and closes no handle before
    process.once('exit', this.#endWaiting)
  }

  /** Adds a descriptor. Throws EEXIST, EBADF, and EPERM for files, which are always ready. */
  add(events: number, watch: Pick<Watch, 'fd' | 'generation'>): void {
    libc('epoll_ctl', [this.#fd, EPOLL_CTL_ADD, watch.fd, epollEvent(events, watch)], `descriptor ${watch.fd}`)
  }

  remove(fd: number): void {
    try {
      libc('epoll_ctl', [this.#fd, EPOLL_CTL_DEL, fd, null], `descriptor ${fd}`)
    } catch (error) {
      // closed before its watch was disposed of: then the kernel has taken it out, and the number may mean another file by now
      if (!(error instanceof SysError) || !['EBADF', 'ENOENT', 'EPERM'].includes(error.code)) throw error
    }
  }

  /** Waits on a thread of the pool. Returns the watches that are ready; there may be none. */
  async wait(): Promise<Pick<Watch, 'fd' | 'generation'>[]> {
    this.#isWaiting = true
    const count = await libcAside('epoll_wait', [this.#fd, this.#events, handlersPerTurn, -1])
    this.#isWaiting = false
    const view = viewOf(this.#events)
    const ready = Array.from({ length: count }, (_, index) => ({
      fd: view.getUint32(index * eventBytes + dataOffset, true),
      generation: view.getUint32(index * eventBytes + dataOffset + 4, true),
    }))
    if (this.#isWoken) readSync(this.#readEnd, new Uint8Array(1))
    this.#isWoken = false
    return ready.filter(({ generation }) => generation !== noGeneration)
  }

  /** Ends a waiting call, if there is one. */
  wake(): void {
    if (!this.#isWaiting || this.#isWoken || this.#writer.destroyed) return
    this.#isWoken = true
    writeSync(this.#writeEnd, Uint8Array.of(0))
  }

  [Symbol.dispose](): void {
    process.off('exit', this.#endWaiting)
    this.#writer.destroy()
    closeFd(this.#readEnd)
    closeFd(this.#fd)
  }
}

const watches = new Map<number, Watch>()
/** Exists while anything is watched, and until the last call that waited for it has returned. */
let epoll: Epoll | undefined
let lastGeneration = noGeneration

/** The loop that waits and calls handlers, while anything is watched. */
async function run(current: Epoll): Promise<void> {
  try {
    while (watches.size > 0) {
      for (const { fd, generation } of await current.wait()) {
        const watch = watches.get(fd)
        // a handler before this one may have disposed of it
        if (watch?.generation === generation) call(watch)
      }
      // a caller that waits for one event after another begins its next watch right after the last one
      if (watches.size === 0) await setImmediate()
    }
  } finally {
    epoll = undefined
    current[Symbol.dispose]()
  }
}

/** Calls a handler. One that throws loses only its own watch; its error is thrown as that of any callback ('uncaughtException'). */
function call(watch: Watch): void {
  try {
    watch.onReady()
  } catch (error) {
    forget(watch)
    queueMicrotask(() => {
      throw error
    })
  }
}

function forget(watch: Watch): void {
  // the number may be watched anew already
  if (watches.get(watch.fd) !== watch) return
  watches.delete(watch.fd)
  epoll?.remove(watch.fd)
  if (watches.size === 0) epoll?.wake()
}

function started(): Epoll {
  const fresh = new Epoll()
  // Later, because the caller may be inside of another network namespace, and a thread of the pool stays in the one it is born in.
  queueMicrotask(() => void run(fresh))
  return fresh
}

/**
 * Calls `onReady` on the event loop whenever the descriptor is ready for one of `events` (POLLIN, POLLOUT), is hung up, or has failed;
 * the next call on it reports the failure. `onReady` is called again while that is so: a handler should take only as much as others can
 * wait for, and leave the rest. Keeps the process running. Dispose of the watch before the descriptor is closed, also inside of a handler.
 * Throws EEXIST for a descriptor that is watched already, EBADF, and EPERM for files, which are always ready.
 */
export function watchFd(fd: number, events: number, onReady: () => void): Disposable {
  lastGeneration = (lastGeneration % 0xffff_ffff) + 1
  const watch = { fd, generation: lastGeneration, onReady }
  epoll ??= started()
  epoll.add(events, watch)
  watches.set(fd, watch)
  return { [Symbol.dispose]: () => forget(watch) }
}
