// From the command to the verdict: `causeway trace` in a lab, of ways that are whole and of one that is broken, against `causeway status` of the same
// lab, which asks the same agents and sends nothing.
import { type Benchmark, type Effort, figure, ratioText, type Result, settingsOf } from './benchmark.ts'
import { BenchLab } from './lab.ts'
import { Rig } from './rig.ts'
import { median, quantile, roundRatios, spread } from './stats.ts'

const sizes = { smoke: { rounds: 1, samples: 1 }, full: { rounds: 5, samples: 4 } }
const goalMs = { whole: 1_000, broken: 3_000 }
const answered = 0
const lost = 1

type Case = {
  readonly what: string
  readonly args: (lab: BenchLab) => readonly string[]
  readonly status: number
  readonly isBroken?: true
}

const podOn = ({ pods }: BenchLab, node: string, index = 0): string =>
  `default/${pods.filter((each) => each.node === node)[index]!.name}`

const cases: readonly Case[] = [
  {
    what: 'to a pod of the same node',
    args: (lab) => [podOn(lab, 'node-1'), podOn(lab, 'node-1', 1)],
    status: answered,
  },
  {
    what: 'to a pod of another node, small and large',
    args: (lab) => [podOn(lab, 'node-1'), podOn(lab, 'node-2')],
    status: answered,
  },
  {
    what: 'to a pod whose node drops it',
    args: (lab) => [podOn(lab, 'node-1'), podOn(lab, 'node-3')],
    status: lost,
    isBroken: true,
  },
]

async function run(effort: Effort, say: (line: string) => void): Promise<Result> {
  const { rounds, samples } = settingsOf(sizes, effort)
  await using rig = new Rig()
  const lab = await BenchLab.up(rig, ['--nodes', '3', '--pods', '2', '--families', 'ipv4'])
  lab.causeway('break', 'forward-drop-nft', '--node', 'node-3', '--quiet')
  const times = new Map<string, number[][]>()
  const note = (what: string, values: number[]): void => void times.set(what, [...(times.get(what) ?? []), values])
  const repeated = (measure: () => number): number[] => Array.from({ length: samples }, measure)
  for (let round = 1; round <= rounds; round++) {
    say(`round ${round} of ${rounds}`)
    note(
      'status',
      // a node is not ready: that is no failure of the command
      repeated(() => lab.timed(['status'], 'any').ms),
    )
    for (const { what, args, status } of cases)
      note(
        what,
        repeated(() => lab.timed(['trace', ...args(lab)], status).ms),
      )
  }
  const reference = times.get('status')!
  const all = (what: string): number[] => times.get(what)!.flat()
  const row = (what: string): string[] => {
    const ratios = roundRatios(times.get(what)!, reference)
    return [
      what,
      figure(median(all(what))),
      figure(quantile(all(what), 0.99)),
      ratioText(median(ratios), spread(ratios)),
    ]
  }
  const worst = (isBroken: boolean): number =>
    Math.max(...cases.filter((each) => (each.isBroken === true) === isBroken).map(({ what }) => median(all(what))))
  return {
    tables: [
      {
        title: 'From the command to the verdict, ms',
        columns: ['what', 'p50', 'p99', 'as a ratio to `causeway status` (of rounds)'],
        rows: [
          ...cases.map(({ what }) => row(what)),
          [
            '`causeway status`, the reference',
            figure(median(all('status'))),
            figure(quantile(all('status'), 0.99)),
            '',
          ],
        ],
      },
    ],
    goals: [
      {
        text: 'below 1 s on a way that is whole',
        measured: `${figure(worst(false))} ms`,
        isReached: worst(false) < goalMs.whole,
      },
      {
        text: 'below 3 s on one that is broken',
        measured: `${figure(worst(true))} ms`,
        isReached: worst(true) < goalMs.broken,
      },
    ],
    notes: [
      `${rounds} rounds of ${samples} each, in turn. A lab of three nodes, whose kernels are one: programs of each node that watches see the packets of all. Between two nodes a packet that is answered is followed by one of the largest size.`,
    ],
    figures: Object.fromEntries([...times].map(([what, values]) => [what, values.flat()])),
  }
}

export const traceBenchmark: Benchmark = {
  name: 'trace',
  summary: 'how long causeway trace takes, from the command to the verdict',
  run,
}
