// What a container runtime leaves on the machine besides files, found without asking it: it may have been killed.
import { readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { run } from '../harness.ts'

const runtimeVariable = 'CAUSEWAY_TEST_RUNTIME'
const cgroupRoot = '/sys/fs/cgroup'
const cniCache = '/var/lib/cni/results'

/** Everything a runtime starts inherits this, its shims and CNI plugins too; containers do not. */
export function markOf(dir: string): Record<string, string> {
  return { [runtimeVariable]: dir }
}

/** The cgroup that all containers of a runtime are in. */
export function cgroupOf(dir: string): string {
  return `/${basename(dir)}`
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // it ended meanwhile
    return ''
  }
}

function foldersIn(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [join(path, entry.name)] : [],
    )
  } catch {
    return []
  }
}

/** Below one hierarchy (cgroup v2) or several (v1); inner ones first. */
export function cgroups(dir: string): string[] {
  return [cgroupRoot, ...foldersIn(cgroupRoot)].flatMap((hierarchy) => {
    const parent = join(hierarchy, cgroupOf(dir))
    const isThere = foldersIn(hierarchy).includes(parent)
    return isThere ? [...foldersIn(parent), parent] : []
  })
}

/** Processes of the runtime, and of its containers. */
export function processes(dir: string): number[] {
  const marked = readdirSync('/proc').filter(
    (name) => /^\d+$/.test(name) && textOf(`/proc/${name}/environ`).split('\0').includes(`${runtimeVariable}=${dir}`),
  )
  const contained = cgroups(dir).flatMap((path) => textOf(join(path, 'cgroup.procs')).split('\n').filter(Boolean))
  return [...new Set([...marked, ...contained].map(Number))].filter((pid) => pid !== process.pid)
}

/** Mount points below the folder, inner ones first. */
export function mounts(dir: string): string[] {
  return textOf('/proc/self/mountinfo')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path.startsWith(`${dir}/`))
    .toReversed()
}

/** What no configuration brings below the folder: the sockets of shims, and what libcni keeps of each sandbox. */
function filesOutside(dir: string): string[] {
  const sandboxes = foldersIn(join(dir, 'root/io.containerd.grpc.v1.cri/sandboxes')).map((path) => basename(path))
  const tasks = foldersIn(join(dir, 'state/io.containerd.runtime.v2.task/k8s.io'))
  return [
    ...tasks.map((path) => textOf(join(path, 'address')).replace('unix://', '')).filter(Boolean),
    ...sandboxes.flatMap((id) => [`causeway-${id}-eth0`, `cni-loopback-${id}-lo`].map((name) => join(cniCache, name))),
  ]
}

/**
 * Shims, and cgroups of containers. While a runtime knows of no sandbox they are those that it began just before it was killed:
 * it forgets them, and keeps them for ever.
 */
export function shims(dir: string): { readonly pids: number[]; readonly containers: string[] } {
  return {
    pids: processes(dir).filter((pid) => textOf(`/proc/${pid}/comm`).startsWith('containerd-shim')),
    containers: cgroups(dir).filter((path) => basename(path) !== basename(dir)),
  }
}

/** Ends these shims, and the containers they were to have. */
export function sweepShims(dir: string): void {
  const { pids, containers } = shims(dir)
  for (const pid of pids) endProcess(pid)
  for (const path of containers) removeCgroup(path)
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // it ended by itself
  }
}

function removeCgroup(path: string): void {
  try {
    rmdirSync(path)
  } catch {
    // its last process has not been reaped yet: the caller looks again
  }
}

/** Takes all of it away. */
export function sweep(dir: string): void {
  for (const path of filesOutside(dir)) rmSync(path, { force: true })
  for (const pid of processes(dir)) endProcess(pid)
  for (const path of mounts(dir)) run('umount', ['--lazy', path])
  for (const path of cgroups(dir)) removeCgroup(path)
}
