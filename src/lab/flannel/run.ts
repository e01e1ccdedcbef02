// Runs commands in a namespace of a lab, in one shell.
import { spawnSync } from 'node:child_process'
import { Netns, netnsPath } from '#/sys/netns.ts'
import { LabError } from '../spec.ts'

const timeoutMs = 60_000

/** Throws LabError with the words of the command that fails. */
export function runAll(netns: string, commands: readonly string[]): void {
  using inside = new Netns(netnsPath(netns))
  const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' }
  const script = ['set -e', ...commands].join('\n')
  const { error, status, stderr } = inside.run(() =>
    spawnSync('sh', ['-c', script], { encoding: 'utf8', env, timeout: timeoutMs }),
  )
  if (error !== undefined) throw new LabError(`${netns}: sh: ${error.message}`)
  if (status !== 0) throw new LabError(`${netns}: ${stderr.trim() || `a command of ${commands.length} failed`}`)
}
