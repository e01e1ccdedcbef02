// Network namespaces by path, as runtimes name them: whether one is there, and whether it is still the same.
import { existsSync, statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { errorCode } from '#/lib/error-code.ts'

/** NSFS_MAGIC of include/uapi/linux/magic.h: the file system of namespaces. */
const nsfsMagic = 0x6e736673
const ownPath = '/proc/thread-self/ns/net'

export type NamespaceState =
  /** `id` tells two namespaces apart that exist at the same time; the kernel may use one again later. */
  | { readonly kind: 'there'; readonly id: string }
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

/** Whether there is a namespace at the path now, and which. */
export function namespaceAt(path: string): NamespaceState {
  try {
    const { dev, ino } = statSync(path)
    if (statfsSync(path).type !== nsfsMagic) return { kind: 'other', why: `${path} is no namespace` }
    return { kind: 'there', id: `${dev}:${ino}` }
  } catch (error) {
    const code = errorCode(error) ?? String(error)
    if (code !== 'ENOENT' && code !== 'ENOTDIR') return { kind: 'unknown', why: `${path} cannot be read: ${code}` }
    if (existsSync(anchorOf(path))) return { kind: 'absent', why: `${path} is not there` }
    return { kind: 'unknown', why: `${anchorOf(path)} is not there` }
  }
}

/** The namespace that this process lives in, which is the node's. */
export function ownNamespaceId(): string {
  const { dev, ino } = statSync(ownPath)
  return `${dev}:${ino}`
}
