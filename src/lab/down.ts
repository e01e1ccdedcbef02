// Takes a lab down, whatever is left of it: it finds processes by their environment, namespaces by their names, files by their folder.
// Devices, routes and rules are all in the namespaces and end with them.
import { rmSync } from 'node:fs'
import { unmount } from '#/sys/mounts.ts'
import { removeNetns } from '#/sys/netns.ts'
import { LabPaths } from './paths.ts'
import { labProcesses, stopProcesses } from './processes.ts'
import { labNetns } from './underlay.ts'

export type Removed = { readonly processes: number; readonly namespaces: number }

export async function labDown(lab: string): Promise<Removed> {
  const { dir, bpffs } = new LabPaths(lab)
  const processes = labProcesses(lab).length
  // processes that start or serve others are stopped first, so that they make nothing anew meanwhile
  await stopProcesses(lab, (role) => role === 'kubelet')
  await stopProcesses(lab, () => true)
  const namespaces = labNetns(lab)
  for (const name of namespaces) removeNetns(name)
  unmount(bpffs)
  rmSync(dir, { recursive: true, force: true })
  return { processes, namespaces: namespaces.length }
}
