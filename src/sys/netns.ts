// Network namespaces: entering, making and removing them.
// A socket belongs for ever to the namespace in which it was made, and setns(2) moves only the calling thread. So the main
// thread steps into a namespace, opens what it needs, and steps back, all without giving up control: no worker, no child.
import { closeSync, fstatSync, mkdirSync, openSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { closeFd, libc, SysError } from './libc.ts'
import { unmount } from './mounts.ts'

const CLONE_NEWNET = 0x40000000
const MS_BIND = 0x1000
const MS_REC = 0x4000
const MS_SHARED = 0x100000
const SIOCGSKNS = 0x894c

/** Where named namespaces are kept; the same place as iproute2's, so that `ip netns` shows them. */
export const netnsFolder = '/run/netns'
const ownNetns = '/proc/thread-self/ns/net'

export function netnsPath(name: string): string {
  return `${netnsFolder}/${name}`
}

function runInside<T>(netnsFd: number, about: string, work: () => T): T {
  // opened each time: who moves the thread for good would find it moved back
  const home = openSync(ownNetns, 'r')
  try {
    libc('setns', [netnsFd, CLONE_NEWNET], about)
    try {
      return work()
    } finally {
      // a thread left in the wrong namespace would make every later call there, so a failure here has to end the process
      libc('setns', [home, CLONE_NEWNET], 'back home')
    }
  } finally {
    closeSync(home)
  }
}

/** Runs `work`, as Netns.run does, in the namespace that a socket belongs to. Needs CAP_NET_ADMIN in there. */
export function runInNetnsOf<T>(socket: number, work: () => T): T {
  const about = 'the namespace of a socket'
  const netnsFd = libc('ioctl', [socket, SIOCGSKNS, null], about)
  try {
    // a thread that is in the namespace already needs no further rights
    const isHome = fstatSync(netnsFd).ino === statSync(ownNetns).ino
    return isHome ? work() : runInside(netnsFd, about, work)
  } finally {
    closeFd(netnsFd)
  }
}

/** An open network namespace. It exists while this is open, even after its name is removed. */
export class Netns {
  readonly fd: number
  readonly path: string

  /** Opens the namespace at a path. Throws the errno of open(2): ENOENT when there is none. */
  constructor(path: string) {
    this.path = path
    this.fd = openSync(path, 'r')
  }

  /**
   * Runs `work` with the calling thread inside of this namespace and returns its result.
   * `work` must be synchronous and must not start asynchronous file or DNS calls: libuv's threads would be born in here.
   */
  run<T>(work: () => T): T {
    return runInside(this.fd, this.path, work)
  }

  /** Moves the calling thread into this namespace for good: `run` comes back to it. The namespace must stay open. */
  stay(): void {
    libc('setns', [this.fd, CLONE_NEWNET], this.path)
  }

  /** The inode number, which differs between any two namespaces. */
  get inode(): number {
    return fstatSync(this.fd).ino
  }

  [Symbol.dispose](): void {
    closeSync(this.fd)
  }
}

function prepareFolder(): void {
  mkdirSync(netnsFolder, { recursive: true })
  try {
    // as ip-netns(8) does: mounts made here must show in other mount namespaces too
    libc('mount', ['', netnsFolder, 'none', MS_SHARED | MS_REC, null], netnsFolder)
  } catch (error) {
    if (!(error instanceof SysError) || error.code !== 'EINVAL') throw error
    libc('mount', [netnsFolder, netnsFolder, 'none', MS_BIND | MS_REC, null], netnsFolder)
    libc('mount', ['', netnsFolder, 'none', MS_SHARED | MS_REC, null], netnsFolder)
  }
}

/** Makes a namespace with a name and opens it. Throws EEXIST when the name is taken. */
export function createNetns(name: string): Netns {
  prepareFolder()
  const path = netnsPath(name)
  writeFileSync(path, '', { flag: 'wx' })
  try {
    const home = openSync(ownNetns, 'r')
    try {
      libc('unshare', [CLONE_NEWNET])
      try {
        libc('mount', [ownNetns, path, 'none', MS_BIND, null], path)
      } finally {
        libc('setns', [home, CLONE_NEWNET], 'back home')
      }
    } finally {
      closeSync(home)
    }
    return new Netns(path)
  } catch (error) {
    rmSync(path, { force: true })
    throw error
  }
}

/** Removes the name. The namespace ends when nothing uses it any more. No error when there is no such name. */
export function removeNetns(name: string): void {
  const path = netnsPath(name)
  unmount(path)
  rmSync(path, { force: true })
}
