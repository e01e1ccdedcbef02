// Writes files that other programs may read at any moment: they see the old content or the new one, never a part of it, even when
// the agent is killed while it writes.
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
 * The name under which new content of `path` is written before it is moved into place. It is always the same, so that the next try
 * overwrites what a killed agent left. Runtimes ignore it, as they read only .conf, .conflist and .json.
 */
export function unfinishedNameOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.new`)
}

/** Whether the file exists with exactly this content and mode. */
export function isAsWanted(path: string, content: Uint8Array, mode: number): boolean {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats === undefined || stats.size !== content.length || (stats.mode & 0o7777) !== mode) return false
  return readFileSync(path).equals(content)
}

/** Writes the folder's entries to the disk: otherwise, after a power cut, the old file may be back, or no file be there. */
function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

/**
 * Writes the content to a new file and renames that to `path`. A program that runs from the old file keeps it, so "text file busy"
 * cannot happen. Throws the system's error and then leaves the old file as it was.
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

/** Removes the file if it exists. Throws the system's error. */
export function removeFile(path: string): void {
  rmSync(path, { force: true })
  syncFolder(dirname(path))
}
