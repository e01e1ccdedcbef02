// Sysctls of the calling thread's network namespace: /proc/sys/net shows those of whoever opens it.
import { readFileSync, writeFileSync } from 'node:fs'

/** Elsewhere in a container, whose own /proc/sys is read-only (src/install/agent.ts). */
const root = process.env['CAUSEWAY_PROC_SYS'] || '/proc/sys'

/** The value without its line break; undefined when there is no such sysctl. */
export function readSysctl(path: string): string | undefined {
  try {
    return readFileSync(`${root}/${path}`, 'utf8').trim()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Throws the errno of open(2) or write(2): ENOENT for a device that is gone, EROFS where /proc/sys is read-only. */
export function writeSysctl(path: string, value: string): void {
  writeFileSync(`${root}/${path}`, value)
}
