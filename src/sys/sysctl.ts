// Sysctls of the calling thread's network namespace: /proc/sys/net shows those of whoever opens it.
import { readFileSync, writeFileSync } from 'node:fs'
import { errorCode } from '#/lib/error-code.ts'

let root = '/proc/sys'

/**
 * Where sysctls are from now on, for all of this process. In a container that is elsewhere: its own /proc/sys is read-only
 * (src/install/agent.ts). The composition root calls this once, before anything reads a sysctl.
 */
export function useProcSys(path: string): void {
  root = path
}

/** The value without its line break; undefined when there is no such sysctl. */
export function readSysctl(path: string): string | undefined {
  try {
    return readFileSync(`${root}/${path}`, 'utf8').trim()
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Writes a sysctl. Throws the errno of open(2) or write(2): ENOENT for a device that is gone, EROFS where /proc/sys is read-only. */
export function writeSysctl(path: string, value: string): void {
  writeFileSync(`${root}/${path}`, value)
}
