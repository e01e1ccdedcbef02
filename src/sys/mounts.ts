// Mounts that Causeway makes itself.
import { libc, SysError } from './libc.ts'

const MNT_DETACH = 2

/** Mounts a new bpffs on the folder, which only root can enter then. */
export function mountBpffs(folder: string): void {
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
