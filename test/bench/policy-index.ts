// The index of pods and policies: what a change costs beside the form made anew, and how much memory thousands of pods take.
import { once } from 'node:events'
import { type Benchmark, type Effort, figure, type Result, settingsOf, type Size } from './benchmark.ts'
import type { PolicyIndexReport, PolicyIndexSettings } from './policy-index-process.ts'
import { forkReady, stop } from './processes.ts'
import { median, quantile, spread } from './stats.ts'

type Settings = Omit<PolicyIndexSettings, 'isAlone'> & { readonly rounds: number }

const sizes: Readonly<Record<Size, Settings>> = {
  smoke: { rounds: 1, pods: 200, policies: 100, locals: 10, changes: 10 },
  full: { rounds: 5, pods: 10_000, policies: 1000, locals: 110, changes: 2000 },
}

async function measure(settings: PolicyIndexSettings): Promise<PolicyIndexReport> {
  const child = await forkReady('policy-index-process.ts', [])
  try {
    child.send(settings)
    const [report] = (await once(child, 'message')) as [PolicyIndexReport]
    return report
  } finally {
    await stop(child)
  }
}

const perChange = {
  'labels of a pod': ({ labelChangeMs }: PolicyIndexReport) => labelChangeMs,
  'labels of a pod of this node': ({ localChangeMs }: PolicyIndexReport) => localChangeMs,
  'rules of a policy': ({ policyChangeMs }: PolicyIndexReport) => policyChangeMs,
} as const

function changeRows(reports: readonly PolicyIndexReport[]): string[][] {
  return Object.entries(perChange).map(([what, of]) => {
    const samples = reports.flatMap(of)
    const ratios = reports.map((report) => report.buildMs / median(of(report)))
    const { least, most } = spread(ratios)
    return [
      what,
      figure(median(samples)),
      figure(quantile(samples, 0.99)),
      `${figure(median(ratios))} (${figure(least)} to ${figure(most)})`,
    ]
  })
}

function wholeRow(what: string, reports: readonly PolicyIndexReport[]): string[] {
  const of = (value: (report: PolicyIndexReport) => number): string => figure(median(reports.map(value)))
  return [
    what,
    of(({ buildMs }) => buildMs),
    of(({ longestCallMs }) => longestCallMs),
    of(({ takeMs }) => takeMs),
    of(({ namespaceChangeMs }) => namespaceChangeMs),
    of(({ evaluateMs }) => 1000 * evaluateMs),
    of(({ heapMiB }) => heapMiB),
  ]
}

async function run(effort: Effort, say: (line: string) => void): Promise<Result> {
  const { rounds, ...settings } = settingsOf(sizes, effort)
  const together: PolicyIndexReport[] = []
  const alone: PolicyIndexReport[] = []
  for (let round = 1; round <= rounds; round++) {
    say(`round ${round} of ${rounds}`)
    together.push(await measure({ ...settings, isAlone: false }))
    alone.push(await measure({ ...settings, isAlone: true }))
  }
  const all = [...together, ...alone]
  const buildMs = Math.max(...all.map((report) => report.buildMs))
  const labelMs = quantile(all.flatMap(perChange['labels of a pod']), 0.5)
  const heapMiB = Math.max(...all.map((report) => report.heapMiB))
  const callMs = median(alone.map(({ longestCallMs }) => longestCallMs))
  const pods = settings.pods.toLocaleString('en-US')
  const policies = settings.policies.toLocaleString('en-US')
  return {
    tables: [
      {
        title: `${pods} pods and ${policies} policies`,
        columns: [
          'pods',
          'made anew, ms',
          'longest call, ms',
          'first take, ms',
          'labels of a namespace, ms',
          'evaluate, us',
          'heap, MiB',
        ],
        rows: [wholeRow('ten with the same labels', together), wholeRow('each with labels of its own', alone)],
      },
      {
        title: 'A change until it is known, ms',
        columns: ['change', 'p50', 'p99', 'made anew to a change (of rounds)'],
        rows: changeRows(together),
      },
    ],
    goals: [
      { text: 'made in less than a second', measured: `${figure(buildMs)} ms`, isReached: buildMs < 1000 },
      { text: 'memory at most 40 MiB', measured: `${figure(heapMiB)} MiB`, isReached: heapMiB <= 40 },
      {
        text: '1,000 changes of labels a second take at most a tenth of a core',
        measured: `${figure(100 * labelMs)} %`,
        isReached: labelMs <= 0.1,
      },
      { text: 'no call longer than 10 ms', measured: `${figure(callMs)} ms`, isReached: callMs <= 10 },
    ],
    notes: [
      `${rounds} rounds, each kind of cluster in a process of its own. ${settings.locals} pods are of this node; each namespace has ${Math.round(settings.pods / 100)} pods. A namespace whose labels change moves ${median(together.map(({ elements }) => elements))} elements.`,
      'The longest call is that of a process which has just started. Memory is what the heap keeps of the index, garbage not counted.',
    ],
    figures: {
      'made anew ms': together.map((report) => report.buildMs),
      'label change ms': together.flatMap(perChange['labels of a pod']),
      'heap MiB': together.map((report) => report.heapMiB),
    },
  }
}

export const policyIndexBenchmark: Benchmark = {
  name: 'policy-index',
  summary: 'changes of pods, labels and policies, against the form made anew',
  run,
}
