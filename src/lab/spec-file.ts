// The file with a lab's spec.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { type LabPaths } from './paths.ts'
import { decodeSpec, encodeSpec, type LabSpec } from './spec.ts'

/** Reads the spec; undefined when there is no such lab. */
export function readSpec(paths: LabPaths): LabSpec | undefined {
  return existsSync(paths.spec) ? decodeSpec(readFileSync(paths.spec, 'utf8')) : undefined
}

export function writeSpec(paths: LabPaths, spec: LabSpec): void {
  mkdirSync(paths.dir, { recursive: true, mode: 0o700 })
  writeFileSync(`${paths.spec}.new`, encodeSpec(spec))
  renameSync(`${paths.spec}.new`, paths.spec)
}
