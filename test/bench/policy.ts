// Network policies: what they cost packets, how soon a change is enforced everywhere, what a large cluster of them costs an agent, and an ADD.
import { type Benchmark, type Effort, type Goal, type Result, settingsOf, type Size, type Table } from './benchmark.ts'
import { type AddsSettings, measureAdds } from './policy-adds.ts'
import { type EnforcementSettings, measureEnforcement } from './policy-enforcement.ts'
import { type LoadSettings, measureLoad } from './policy-load.ts'
import { measurePaths, type PathsSettings } from './policy-paths.ts'
import { Rig } from './rig.ts'

type PolicySettings = {
  readonly rounds: number
  readonly paths: Omit<PathsSettings, 'rounds'>
  /** One lab after the other. */
  readonly enforcement: readonly EnforcementSettings[]
  readonly load: LoadSettings
  readonly adds: Omit<AddsSettings, 'rounds'>
}

const sizes: Readonly<Record<Size, PolicySettings>> = {
  smoke: {
    rounds: 1,
    paths: { datapaths: ['bridge'], counts: [0, 3], seconds: 1 },
    enforcement: [{ nodes: 2, policies: 3, slots: 2, changes: 2 }],
    load: { pods: 20, policies: 5, localPods: 2, quietMs: 100 },
    adds: { pods: 2, policies: 5, podsElsewhere: 5 },
  },
  full: {
    rounds: 7,
    paths: { datapaths: ['bridge', 'ebpf'], counts: [0, 100, 1000], seconds: 1 },
    enforcement: [
      { nodes: 20, policies: 1000, slots: 20, changes: 100 },
      { nodes: 2, policies: 1000, slots: 20, changes: 100 },
    ],
    load: { pods: 10_000, policies: 1000, localPods: 110, quietMs: 1000 },
    adds: { pods: 20, policies: 1000, podsElsewhere: 1000 },
  },
}

type Part = { readonly table: Table; readonly goals: readonly Goal[]; readonly figures: Result['figures'] }

/** Runs one part on a rig of its own, so that nothing of the others is beside it; its goals are told at once. */
async function alone(measure: (rig: Rig) => Promise<Part>, say: (line: string) => void): Promise<Part> {
  await using rig = new Rig()
  const part = await measure(rig)
  for (const { text, measured } of part.goals) say(`${text}: ${measured}`)
  return part
}

async function run(effort: Effort, say: (line: string) => void): Promise<Result> {
  const { rounds, paths, enforcement, load, adds } = settingsOf(sizes, effort)
  const parts: Part[] = [await alone((rig) => measurePaths(rig, { ...paths, rounds }, say), say)]
  for (const lab of enforcement) parts.push(await alone((rig) => measureEnforcement(rig, lab, say), say))
  parts.push(await alone((rig) => measureLoad(rig, load, say), say))
  parts.push(await alone((rig) => measureAdds(rig, { ...adds, rounds }, say), say))
  return {
    tables: parts.map(({ table }) => table),
    goals: parts.flatMap(({ goals }) => goals),
    notes: [
      `${rounds} rounds, all ways in turn, ${paths.seconds} s for each measurement. IPv4; a lab for each datapath and number of policies.`,
      'With br_netfilter, which kubeadm demands, pods of a node meet the rules for IP without policies as well; without, each row is compared with',
      'packets that meet none. Between nodes it is on.',
      'Every policy on the way selects both pods in both directions, and only the last of them allows what is measured: a new connection is',
      'compared with all of them, packets of one that stands with none.',
      'A change: a ClusterNetworkPolicy about all pods comes or goes, and of the others 50 select each pod. Alone: half a second after the last one;',
      'in a row: 0.15 s after it was enforced everywhere, so that what follows from it (the look through connections) goes on beside. After each, a',
      'ping to every pod shows that it is enforced. All nodes share the machine: 20 agents do the same work at the same time on two cores, and wait',
      'for one another; two nodes have a core each, as nodes of a cluster have theirs.',
      'The agent and the API server of the table with 10,000 pods share the machine; the API holds everything back until it is complete, and gives it at once.',
    ],
    figures: Object.assign({}, ...parts.map(({ figures }) => figures)) as Result['figures'],
  }
}

export const policyBenchmark: Benchmark = {
  name: 'policy',
  summary:
    'policies on the way of packets, changes until all nodes enforce them, and 10,000 pods with 1,000 policies into one agent',
  run,
}
