// A look into the network namespace of a sandbox, with iproute2's eyes.
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
