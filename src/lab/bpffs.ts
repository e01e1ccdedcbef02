// The bpffs of a lab, in which agents pin programs and maps: the machine's own, if there is one, is not for labs.
import { mkdirSync } from 'node:fs'
import { isBpffs } from '#/kernel/bpf/pins.ts'
import { mountBpffs } from '#/sys/mounts.ts'

/** Makes sure that a bpffs is mounted on the folder. */
export function ensureBpffs(folder: string): void {
  mkdirSync(folder, { recursive: true })
  if (!isBpffs(folder)) mountBpffs(folder)
}
