// `causeway doctor` on a lab, against `causeway status` of the same lab: what a diagnosis takes, and how that grows with nodes.
import { type Benchmark, type Effort, figure, ratioText, type Result, settingsOf } from './benchmark.ts'
import { BenchLab } from './lab.ts'
import { Rig } from './rig.ts'
import { median, spread } from './stats.ts'

const sizes = {
  smoke: { rounds: 1, nodes: [2] },
  full: { rounds: 5, nodes: [3, 10, 50] },
}

type Sample = { readonly doctorMs: number; readonly statusMs: number; readonly packets: number }
type Diagnosis = {
  readonly findings: readonly { readonly code: string; readonly message: string }[]
  readonly packets: readonly unknown[]
}

async function samplesAt(nodes: number, rounds: number, say: (line: string) => void): Promise<Sample[]> {
  await using rig = new Rig()
  say(`${nodes} nodes come up`)
  // one kernel has one table of neighbours for all namespaces: with 50 nodes on one link it is full
  const lab = await BenchLab.up(rig, [
    '--nodes',
    String(nodes),
    '--pods',
    '1',
    ...(nodes > 25 ? ['--subnets', String(nodes / 5)] : []),
  ])
  // the first one makes the programs of the trace, and files are read for the first time
  lab.timed(['doctor', '--json'])
  return Array.from({ length: rounds }, (_, round): Sample => {
    say(`${nodes} nodes, round ${round + 1} of ${rounds}`)
    const { ms: statusMs } = lab.timed(['status', '--json'])
    const { ms: doctorMs, stdout } = lab.timed(['doctor', '--json'])
    const { packets } = JSON.parse(stdout) as Diagnosis
    return { doctorMs, statusMs, packets: packets.length }
  })
}

async function run(effort: Effort, say: (line: string) => void): Promise<Result> {
  const { rounds, nodes: counts } = settingsOf(sizes, effort)
  const samples = new Map<number, Sample[]>()
  for (const nodes of counts) samples.set(nodes, await samplesAt(nodes, rounds, say))
  const most = Math.max(...counts)
  const mostMs = median(samples.get(most)!.map(({ doctorMs }) => doctorMs))
  return {
    tables: [
      {
        title: 'a healthy lab, both families, one pod a node',
        columns: ['nodes', 'packets followed', 'doctor, s', 'status, s', 'doctor to status'],
        rows: [...samples].map(([nodes, all]) => {
          const ratios = all.map(({ doctorMs, statusMs }) => doctorMs / statusMs)
          return [
            String(nodes),
            String(all[0]!.packets),
            figure(median(all.map(({ doctorMs }) => doctorMs)) / 1000),
            figure(median(all.map(({ statusMs }) => statusMs)) / 1000),
            ratioText(median(ratios), spread(ratios)),
          ]
        }),
      },
    ],
    goals: [{ text: `${most} nodes within 30 s`, measured: `${figure(mostMs / 1000)} s`, isReached: mostMs < 30_000 }],
    notes: [
      `${rounds} rounds, the two commands in turn, each a process of its own. Both ask all agents; doctor reads what their kernels have and follows packets besides, each of which is a trace with a second packet of full size. All agents share the machine.`,
    ],
    figures: Object.fromEntries(
      [...samples].flatMap(([nodes, all]) => [
        [`${nodes} nodes: doctor ms`, all.map(({ doctorMs }) => doctorMs)] as const,
        [`${nodes} nodes: status ms`, all.map(({ statusMs }) => statusMs)] as const,
      ]),
    ),
  }
}

export const doctorBenchmark: Benchmark = { name: 'doctor', summary: 'a diagnosis of a whole lab', run }
