// The directory where shims leave DEL requests while no agent answers (docs/cni.md, "The spool"): one request frame per
// attachment, named by its key. Names that start with a dot are files still being written.
import { statSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { errorCode } from '#/lib/error-code.ts'

/** A shim finishes a file in milliseconds; when an unfinished file is this old, its writer has died. */
const abandonedAfterMs = 600_000

export class Spool {
  readonly #dir: string

  constructor(dir: string) {
    this.#dir = dir
  }

  async prepare(): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 })
  }

  /** The keys of the waiting requests, oldest first. Removes abandoned half-written files on the way. */
  async keys(): Promise<string[]> {
    const found: { name: string; mtimeMs: number }[] = []
    for (const name of await readdir(this.#dir)) {
      const mtimeMs = await this.#mtimeMs(name)
      if (mtimeMs === undefined) continue
      if (!name.startsWith('.')) found.push({ name, mtimeMs })
      else if (Date.now() - mtimeMs > abandonedAfterMs) await this.remove(name)
    }
    return found.toSorted((a, b) => a.mtimeMs - b.mtimeMs).map(({ name }) => name)
  }

  /** The spooled request frame of the attachment `key`; undefined when there is none. */
  async read(key: string): Promise<Uint8Array | undefined> {
    const path = join(this.#dir, key)
    // every ADD asks, and mostly there is none: to hear that from a thread of the pool takes longer
    if (statSync(path, { throwIfNoEntry: false }) === undefined) return undefined
    return await unlessGone(readFile(path))
  }

  async remove(key: string): Promise<void> {
    await rm(join(this.#dir, key), { force: true })
  }

  async #mtimeMs(name: string): Promise<number | undefined> {
    return (await unlessGone(stat(join(this.#dir, name))))?.mtimeMs
  }
}

/** undefined when the file does not exist: a shim removes its file at any moment, when an agent answers it after all. */
async function unlessGone<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}
