// Finds and removes the files that an agent keeps on its node, for `causeway clean`.
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { agentSocketName, cniSocketName, readyMarkName, spoolFolderName, stateFileName } from '#/model/node-files.ts'
import { savedConfigName } from '../bgp/saved-config.ts'
import { conflistName, executableOf, othersIn, readConflist } from '../cni-install/conflist.ts'

/** The existing files, in the order in which to remove them. Without `confDir` the CNI configuration is not among them. */
export function filesToClean(folders: {
  readonly stateDir: string
  readonly runDir: string
  readonly confDir: string | undefined
}): string[] {
  const { stateDir, runDir, confDir } = folders
  const database = join(stateDir, stateFileName)
  return [
    ...(confDir === undefined ? [] : [join(confDir, conflistName)]),
    // the database, and the journals that SQLite keeps beside it
    ...['', '-wal', '-shm'].map((suffix) => `${database}${suffix}`),
    join(stateDir, spoolFolderName),
    join(runDir, agentSocketName),
    join(runDir, cniSocketName),
    join(runDir, readyMarkName),
    // the saved BGP configuration contains passwords
    join(runDir, savedConfigName),
  ].filter((path) => existsSync(path))
}

/**
 * The plugins that others have added to our CNI configuration. They go with it: without our plugin at their head, theirs would fail every
 * pod, and their programs add them to the configuration of the next network.
 */
export function pluginsOfOthers(files: readonly string[]): string[] {
  const path = files.find((each) => basename(each) === conflistName)
  const list = path === undefined ? undefined : readConflist(readFileSync(path, 'utf8'))
  return list ? othersIn(list).flatMap((entry) => executableOf(entry) ?? []) : []
}

/** Removes the files and folders. Throws the system's error. */
export function removeFiles(paths: readonly string[]): void {
  for (const path of paths) rmSync(path, { recursive: true, force: true })
}
