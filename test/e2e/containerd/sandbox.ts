// The view from inside of a network namespace, which is given by its path.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { must } from '../harness.ts'

/** Runs a command in the namespace, which must succeed; returns what it printed. */
export function insideOf(netns: string, ...command: readonly string[]): string {
  return must('nsenter', `--net=${netns}`, '--', ...command)
}

/** The addresses of its eth0, without the link-local one. */
export function addressesIn(netns: string): string[] {
  const [eth0] = JSON.parse(insideOf(netns, 'ip', '-j', 'address', 'show', 'dev', 'eth0')) as {
    addr_info: { local: string; scope: string }[]
  }[]
  return (eth0?.addr_info ?? []).flatMap(({ local, scope }) => (scope === 'global' ? [local] : []))
}

export function linksIn(netns: string): string[] {
  const links = JSON.parse(insideOf(netns, 'ip', '-j', 'link')) as { ifname: string }[]
  return links.map(({ ifname }) => ifname)
}

/** An echo's answer: who answered. Does not stop this process, which may be the one that serves the echo. */
export async function askFrom(netns: string, addr: string, port: number): Promise<string> {
  const script = `exec 3<>/dev/tcp/${addr}/${port}; echo probe >&3; head -n 1 <&3`
  const { stdout } = await promisify(execFile)('nsenter', [
    `--net=${netns}`,
    '--',
    'timeout',
    '5',
    'bash',
    '-c',
    script,
  ])
  return (JSON.parse(stdout) as { pod: string }).pod
}
