// Network namespaces by path, as runtimes name them: whether one is there, whether it is still the same, and where it can be opened.
import { closeSync, constants, existsSync, lstatSync, openSync, type Stats, statfsSync, statSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { errorCode } from '#/lib/error-code.ts'

/** NSFS_MAGIC of include/uapi/linux/magic.h: the file system of namespaces. */
const nsfsMagic = 0x6e736673
const ownPath = '/proc/thread-self/ns/net'

export type NamespaceState =
  /**
   * `id` tells two namespaces apart that exist at the same time; the kernel may use one again later. `path` is where this process can
   * open the namespace, in this turn of the event loop.
   */
  | { readonly kind: 'there'; readonly id: string; readonly path: string }
  | { readonly kind: 'absent'; readonly why: string }
  /** Something other than a namespace is at the path: a namespace that ended leaves a plain file behind. */
  | { readonly kind: 'other'; readonly why: string }
  | { readonly kind: 'unknown'; readonly why: string }

/** The folder whose absence means that this process cannot see the runtime's files, rather than that the namespace is gone. */
function anchorOf(path: string): string {
  return path.startsWith('/proc/') ? '/proc/self' : dirname(path)
}

/** Whether a namespace differs from the noted one; '' means none was noted, and then it never differs. */
export function isAnother(id: string, notedId: string): boolean {
  return notedId !== '' && id !== notedId
}

function idOf({ dev, ino }: Stats): string {
  return `${dev}:${ino}`
}

/** Whether there is a namespace at the path now, and which. `told` is what the answer calls the path. */
export function namespaceAt(path: string, told = path): NamespaceState {
  try {
    const stats = statSync(path)
    if (statfsSync(path).type !== nsfsMagic) return { kind: 'other', why: `${told} is no namespace` }
    return { kind: 'there', id: idOf(stats), path }
  } catch (error) {
    const code = errorCode(error) ?? String(error)
    if (code !== 'ENOENT' && code !== 'ENOTDIR') return { kind: 'unknown', why: `${path} cannot be read: ${code}` }
    if (existsSync(anchorOf(path))) return { kind: 'absent', why: `${path} is not there` }
    return { kind: 'unknown', why: `${anchorOf(path)} is not there` }
  }
}

/** A path to what a descriptor of this process is open on. */
function pathOfFd(fd: number): string {
  return `/proc/self/fd/${fd}`
}

/** O_PATH of include/uapi/asm-generic/fcntl.h, which Node does not name. */
const O_PATH = 0x200000
/** Runtimes keep namespaces in one folder, sometimes called /run/netns and sometimes /var/run/netns. */
const maxFolders = 4

/**
 * Finds namespaces by their paths also where this process, which is in a mount namespace of its own, does not see what the runtime
 * mounted there. It keeps the runtime's folder open: a path that begins at an open folder goes on in the mounts of who opened it. The
 * namespaces themselves are not kept open: one that is would live on, with its devices, after the runtime has removed it.
 */
export class NamespaceFinder implements Disposable {
  /** Descriptors by the folder's path, the last one used at the end. */
  readonly #folders = new Map<string, number>()

  /** Keeps what `fd` is open on as the folder of `path`, in the place of an earlier one. Does nothing when it is no folder. */
  keepFolderOf(path: string, fd: number): void {
    const folder = dirname(path)
    // a folder of a process ends with it
    if (folder.startsWith('/proc/')) return
    let kept: number
    try {
      kept = openSync(pathOfFd(fd), O_PATH | constants.O_DIRECTORY)
    } catch {
      return
    }
    this.#forget(folder)
    this.#folders.set(folder, kept)
    const [oldest] = this.#folders.keys()
    if (this.#folders.size > maxFolders && oldest !== undefined) this.#forget(oldest)
  }

  /**
   * The namespace that a descriptor is open on. `path` is where the runtime has it, in the folder that `folder` is open on, if that was
   * passed: one that is no longer there has ended for the runtime, though the descriptor keeps it alive.
   */
  ofFd(fd: number, path: string, folder?: number): NamespaceState {
    const open = namespaceAt(pathOfFd(fd), path)
    if (open.kind !== 'there' || folder === undefined) return open
    const inFolder = `${pathOfFd(folder)}/${basename(path)}`
    const found = statSync(inFolder, { throwIfNoEntry: false })
    if (found && idOf(found) === open.id) return open
    // a link may lead through folders that this process sees otherwise than the runtime
    if (lstatSync(inFolder, { throwIfNoEntry: false })?.isSymbolicLink()) return open
    const now = namespaceAt(inFolder, path)
    const isGone = now.kind === 'absent' || now.kind === 'other' || (now.kind === 'there' && now.id !== open.id)
    return isGone ? { kind: 'absent', why: `${path} is not there any more` } : open
  }

  /** The namespace at a path, as the runtime sees it or else as this process does. */
  at(path: string): NamespaceState {
    const folder = this.#folders.get(dirname(path))
    if (folder !== undefined) {
      const found = namespaceAt(`${pathOfFd(folder)}/${basename(path)}`, path)
      if (found.kind === 'there') return found
    }
    return namespaceAt(path)
  }

  #forget(folder: string): void {
    const fd = this.#folders.get(folder)
    if (fd !== undefined) closeSync(fd)
    this.#folders.delete(folder)
  }

  [Symbol.dispose](): void {
    for (const folder of this.#folders.keys()) this.#forget(folder)
  }
}

/** The namespace that this process lives in, which is the node's. */
export function ownNamespaceId(): string {
  return idOf(statSync(ownPath))
}
