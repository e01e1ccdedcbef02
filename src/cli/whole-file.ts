// Files that are there whole, or not at all.
import { randomUUID } from 'node:crypto'
import { renameSync, rmSync, statSync, writeFileSync } from 'node:fs'

/**
 * Writes beside the file first, so that a full disk leaves what was there before, and no part of what was to come. What is no file, such as
 * /dev/stdout, is written to. Throws the error of the system.
 */
export function writeWhole(path: string, content: string | Uint8Array): void {
  const there = statSync(path, { throwIfNoEntry: false })
  if (there !== undefined && !there.isFile()) return writeFileSync(path, content)
  const part = `${path}.${randomUUID()}.part`
  try {
    writeFileSync(part, content, { flag: 'wx' })
    renameSync(part, path)
  } catch (error) {
    rmSync(part, { force: true })
    throw error
  }
}
