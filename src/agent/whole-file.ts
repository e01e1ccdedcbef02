// Files that others read at any moment: they see the old content or the new one, never a part, whatever is killed when.
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'

/**
 * The one name that unfinished content of `path` has, so that what a kill left is overwritten by the next try. Runtimes read
 * .conf, .conflist and .json only.
 */
export function unfinishedNameOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.new`)
}

/** True when the file is there with just this content and mode. */
export function isAsWanted(path: string, content: Uint8Array, mode: number): boolean {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats === undefined || stats.size !== content.length || (stats.mode & 0o7777) !== mode) return false
  return readFileSync(path).equals(content)
}

/** The folder's entries are on the disk: without it, a power cut may bring the old name back, or none. */
function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

/**
 * Puts the content in place by renaming. A program that runs from the old file keeps that one, so "text file busy" cannot
 * happen. Throws the system's error; the old file is then as it was.
 */
export function writeWholeFile(path: string, content: Uint8Array, mode: number): void {
  const unfinished = unfinishedNameOf(path)
  try {
    const file = openSync(unfinished, 'w', mode)
    try {
      writeFileSync(file, content)
      fchmodSync(file, mode)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(unfinished, path)
  } catch (error) {
    rmSync(unfinished, { force: true })
    throw error
  }
  syncFolder(dirname(path))
}

/** Throws the system's error; that it is not there is none. */
export function removeFile(path: string): void {
  rmSync(path, { force: true })
  syncFolder(dirname(path))
}
