// `causeway test connectivity` on a lab, against `causeway doctor` of the same lab: what a test with pods of its own takes, and how that grows with nodes.
import { type Benchmark, type Effort, figure, ratioText, type Result, settingsOf } from './benchmark.ts'
import { BenchLab } from './lab.ts'
import { Rig } from './rig.ts'
import { median, spread } from './stats.ts'

const sizes = {
  smoke: { rounds: 1, nodes: [2] },
  full: { rounds: 3, nodes: [3, 20] },
}

type Sample = { readonly testMs: number; readonly startMs: number; readonly doctorMs: number; readonly packets: number }
type Told = {
  readonly scenarios: readonly { readonly name: string; readonly ms: number; readonly packets: readonly unknown[] }[]
}

async function samplesAt(nodes: number, rounds: number, say: (line: string) => void): Promise<Sample[]> {
  await using rig = new Rig()
  say(`${nodes} nodes come up`)
  // one kernel has one table of neighbours for all namespaces: with 20 nodes on one link it is nearly full
  const subnets = nodes > 10 ? ['--subnets', '2'] : []
  const lab = await BenchLab.up(rig, ['--nodes', String(nodes), '--pods', '1', ...subnets])
  // the first one makes the programs of the trace, and files are read for the first time
  lab.timed(['doctor', '--json'])
  return Array.from({ length: rounds }, (_, round): Sample => {
    say(`${nodes} nodes, round ${round + 1} of ${rounds}`)
    const { ms: doctorMs } = lab.timed(['doctor', '--json'])
    const { ms: testMs, stdout } = lab.timed(['test', 'connectivity', '--json'])
    const { scenarios } = JSON.parse(stdout) as Told
    return {
      testMs,
      doctorMs,
      startMs: scenarios.find(({ name }) => name === 'pods-start')?.ms ?? 0,
      packets: scenarios.reduce((sum, { packets }) => sum + packets.length, 0),
    }
  })
}

async function run(effort: Effort, say: (line: string) => void): Promise<Result> {
  const { rounds, nodes: counts } = settingsOf(sizes, effort)
  const samples = new Map<number, Sample[]>()
  for (const nodes of counts) samples.set(nodes, await samplesAt(nodes, rounds, say))
  const most = Math.max(...counts)
  const mostMs = median(samples.get(most)!.map(({ testMs }) => testMs))
  return {
    tables: [
      {
        title: 'a healthy lab, both families, one pod a node besides those of the test',
        columns: ['nodes', 'packets followed', 'pods ready, s', 'test, s', 'doctor, s', 'test to doctor'],
        rows: [...samples].map(([nodes, all]) => {
          const ratios = all.map(({ testMs, doctorMs }) => testMs / doctorMs)
          return [
            String(nodes),
            String(all[0]!.packets),
            figure(median(all.map(({ startMs }) => startMs)) / 1000),
            figure(median(all.map(({ testMs }) => testMs)) / 1000),
            figure(median(all.map(({ doctorMs }) => doctorMs)) / 1000),
            ratioText(median(ratios), spread(ratios)),
          ]
        }),
      },
    ],
    goals: [{ text: `${most} nodes within 60 s`, measured: `${figure(mostMs / 1000)} s`, isReached: mostMs < 60_000 }],
    notes: [
      `${rounds} rounds, the two commands in turn, each a process of its own. The test makes pods, follows packets between them, has doctor examine the whole, and waits until its namespace is gone; each packet is a trace. A lab has no Services, so that their scenarios are not in it. All agents share the machine.`,
    ],
    figures: Object.fromEntries(
      [...samples].flatMap(([nodes, all]) => [
        [`${nodes} nodes: test ms`, all.map(({ testMs }) => testMs)] as const,
        [`${nodes} nodes: doctor ms`, all.map(({ doctorMs }) => doctorMs)] as const,
      ]),
    ),
  }
}

export const connectivityBenchmark: Benchmark = {
  name: 'connectivity',
  summary: 'the connectivity test of a whole lab',
  run,
}
