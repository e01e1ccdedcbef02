// Makes what a clone needs and does not have yet: an image has all of it.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

export const setUpScript = new URL('../../scripts/setup.sh', import.meta.url).pathname
const tracePrograms = new URL('../../build/bpf/trace.bpf.o', import.meta.url).pathname

/** Runs a job of the script that installs and builds; quick when nothing is missing. True when it succeeded. */
export function setUp(job: string): boolean {
  return spawnSync('sh', [setUpScript, job], { stdio: ['ignore', 2, 2] }).status === 0
}

/** The programs of a trace, which agents of a lab take from this clone; when they cannot be made, agents say so. */
export function makeTracePrograms(): void {
  if (existsSync(setUpScript) && !existsSync(tracePrograms)) setUp('ebpf')
}
