// What there is, told by anybody but Causeway and containerd: iproute2, nft, iptables and the files under /proc and /sys.
// Two dumps are compared, so whatever changes by itself (counters, handles) is left out.
import { readFileSync } from 'node:fs'
import { must } from '../harness.ts'
import { cgroups, mounts, processes } from './leftovers.ts'

export type KernelState = Readonly<Record<string, unknown>>

const volatileKeys = new Set(['handle', 'packets', 'bytes', 'metainfo'])

function stable(json: string): unknown {
  return JSON.parse(json || '[]', (key, value: unknown) => (volatileKeys.has(key) ? undefined : value))
}

/** The rules without counters, and without comments, which have the time of day. */
function stableRules(saved: string): string[] {
  return saved
    .split('\n')
    .flatMap((line) => (line === '' || line.startsWith('#') ? [] : [line.replace(/ \[\d+:\d+\]$/, '')]))
}

/** Everything network of a node's namespace. */
export function kernelState(netnsName: string): KernelState {
  const inside = (command: string): string => must('ip', 'netns', 'exec', netnsName, ...command.split(' '))
  return {
    addresses: stable(inside('ip -j address')),
    routes4: stable(inside('ip -4 -j route show table all')),
    routes6: stable(inside('ip -6 -j route show table all')),
    neighbours: stable(inside('ip -j neighbour show nud permanent')),
    qdiscs: stable(inside('tc -j qdisc')),
    nftables: stable(inside('nft -j list ruleset')),
    iptables: stableRules(inside('iptables-save')),
    ip6tables: stableRules(inside('ip6tables-save')),
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return 'one that just ended'
  }
}

/** What a containerd keeps in the kernel for its sandboxes: processes, namespaces and other mounts, cgroups. */
export function runtimeState(dir: string): KernelState {
  return {
    processes: processes(dir).map(commandOf).toSorted(),
    mounts: mounts(dir),
    cgroups: cgroups(dir),
  }
}
