// File systems that Causeway mounts itself.
import { mkdirSync, statfsSync } from 'node:fs'
import { libc, SysError } from './libc.ts'

const MNT_DETACH = 2
/** BPF_FS_MAGIC of linux/magic.h. */
const bpffsMagic = 0xcafe4a11

/** Makes sure that a bpffs is mounted on the folder, which only root can enter. */
export function ensureBpffs(folder: string): void {
  mkdirSync(folder, { recursive: true })
  if (statfsSync(folder).type === bpffsMagic) return
  libc('mount', ['bpf', folder, 'bpf', 0, 'mode=0700'], `a bpffs on ${folder}`)
}

/** Takes away what is mounted on the folder, even if it is in use. No error when nothing is, or there is no such folder. */
export function unmount(folder: string): void {
  try {
    libc('umount2', [folder, MNT_DETACH], folder)
  } catch (error) {
    if (!(error instanceof SysError) || (error.code !== 'EINVAL' && error.code !== 'ENOENT')) throw error
  }
}
