// The file with a lab's spec.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { type LabPaths } from './paths.ts'
import { decodeSpec, encodeSpec, LabError, type LabSpec } from './spec.ts'

/** Reads the spec; undefined when there is no such lab. Throws LabError where this user may not see labs. */
export function readSpec(paths: LabPaths): LabSpec | undefined {
  try {
    return decodeSpec(readFileSync(paths.spec, 'utf8'))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    if (code === 'EACCES')
      throw new LabError(
        `only root sees labs, and whether there is one "${paths.lab}": ${paths.spec} cannot be read (EACCES)`,
      )
    throw error
  }
}

export function writeSpec(paths: LabPaths, spec: LabSpec): void {
  mkdirSync(paths.dir, { recursive: true, mode: 0o700 })
  writeFileSync(`${paths.spec}.new`, encodeSpec(spec))
  renameSync(`${paths.spec}.new`, paths.spec)
}
