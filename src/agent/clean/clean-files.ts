// The files that an agent keeps on its node, for when it is to leave nothing behind.
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { agentSocketName, cniSocketName, spoolFolderName, stateFileName } from '#/model/node-files.ts'
import { savedConfigName } from '../bgp/saved-config.ts'
import { conflistName } from '../cni-install/conflist.ts'

/** Those that are there, in the order in which they are to go. Without `confDir` the CNI configuration is left alone. */
export function filesToClean(folders: {
  readonly stateDir: string
  readonly runDir: string
  readonly confDir: string | undefined
}): string[] {
  const { stateDir, runDir, confDir } = folders
  const database = join(stateDir, stateFileName)
  return [
    ...(confDir === undefined ? [] : [join(confDir, conflistName)]),
    // SQLite's journals beside it
    ...['', '-wal', '-shm'].map((suffix) => `${database}${suffix}`),
    join(stateDir, spoolFolderName),
    join(runDir, agentSocketName),
    join(runDir, cniSocketName),
    // it has passwords
    join(runDir, savedConfigName),
  ].filter((path) => existsSync(path))
}

/** Throws the system's error. */
export function removeFiles(paths: readonly string[]): void {
  for (const path of paths) rmSync(path, { recursive: true, force: true })
}
