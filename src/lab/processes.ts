// The lab's background processes. A process belongs to the lab if its environment says so, which only the process that started it can have
// set. So there are no pid files to go stale, and a lab's processes are found and ended whatever was killed before.
import { spawn } from 'node:child_process'
import { mkdirSync, openSync, closeSync, readdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { labRoleVariable as roleVariable, labVariable } from '#/settings/unknown.ts'
import { type Netns } from '#/sys/netns.ts'
import { errorCode } from '#/lib/error-code.ts'

export type LabProcess = { readonly pid: number; readonly role: string }

function environmentOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
  } catch {
    // the process has ended meanwhile
    return []
  }
}

function isZombie(pid: string): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) === 'Z'
  } catch {
    return true
  }
}

/** All live processes of a lab. */
export function labProcesses(lab: string): LabProcess[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .flatMap((pid) => {
      const environment = environmentOf(pid)
      if (!environment.includes(`${labVariable}=${lab}`) || isZombie(pid)) return []
      const role = environment.find((entry) => entry.startsWith(`${roleVariable}=`))
      return role === undefined ? [] : [{ pid: Number(pid), role: role.slice(roleVariable.length + 1) }]
    })
}

export type Start = {
  readonly lab: string
  readonly role: string
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly logFile: string
  /** Absent: this process's own namespace. */
  readonly netns?: Netns
}

/** Starts a process that outlives this one; its output is appended to the log file. */
export function startProcess({ lab, role, command, env, logFile, netns }: Start): void {
  mkdirSync(dirname(logFile), { recursive: true })
  const log = openSync(logFile, 'a')
  try {
    const launch = () =>
      spawn(command[0]!, command.slice(1), {
        detached: true,
        stdio: ['ignore', log, log],
        env: { ...process.env, ...env, [labVariable]: lab, [roleVariable]: role },
      })
    // a child starts in the namespace of the thread that forks it
    const child = netns ? netns.run(launch) : launch()
    child.unref()
  } finally {
    closeSync(log)
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error
  }
}

/** Sends a signal to the lab's processes whose role `select` accepts. */
export function signalProcesses(lab: string, select: (role: string) => boolean, name: NodeJS.Signals): void {
  for (const { pid, role } of labProcesses(lab)) if (select(role)) signal(pid, name)
}

/** Ends the lab's processes whose role `select` accepts: SIGTERM, then SIGKILL for those that remain after `graceMs`. */
export async function stopProcesses(lab: string, select: (role: string) => boolean, graceMs = 3000): Promise<void> {
  const wanted = () => labProcesses(lab).filter(({ role }) => select(role))
  signalProcesses(lab, select, 'SIGTERM')
  const deadlineMs = performance.now() + graceMs
  while (wanted().length > 0 && performance.now() < deadlineMs) await sleep(20)
  signalProcesses(lab, select, 'SIGKILL')
  while (wanted().length > 0) await sleep(10)
}

/** The last lines of a log file, for an error message. */
export function tailOf(logFile: string, lines: number): string {
  try {
    return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
  } catch {
    return ''
  }
}
