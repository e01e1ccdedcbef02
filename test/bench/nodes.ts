// Many nodes: how long it takes until every new node has its route in the kernel, against the same for flannel's objects
// made by `ip -batch` and `bridge -batch`; one node arriving into many; stalls, memory and idle CPU of the agent.
import { type Benchmark, type Effort, type Result, settingsOf, type Size } from './benchmark.ts'
import { bursts, life, type NodesSettings } from './node-arrivals.ts'
import { arrivalTable, burstTable, figuresOf, goalsOf, memoryTable, stallTable } from './nodes-report.ts'

const sizes: Readonly<Record<Size, NodesSettings>> = {
  smoke: { clusters: [100], rounds: 1, many: 100, arrivals: 3, calls: 5, idleMs: 300, quietMs: 100 },
  full: {
    clusters: [1000, 5000, 10_000],
    rounds: 5,
    many: 5000,
    arrivals: 100,
    calls: 100,
    idleMs: 65_000,
    quietMs: 500,
  },
}

async function run(effort: Effort, say: (line: string) => void): Promise<Result> {
  const settings = settingsOf(sizes, effort)
  const { many, rounds, idleMs } = settings
  const results = await bursts(settings, say)
  const whole = await life(settings, say)
  const count = many.toLocaleString('en-US')
  return {
    tables: [burstTable(results), arrivalTable(whole, many), stallTable(whole, count), memoryTable(whole, count)],
    goals: goalsOf(results, whole, count),
    notes: [
      `${rounds} rounds a size, both sides in turn. IPv4, one pod CIDR a node. The API server runs beside the agent, on the same cores.`,
      `The batch is flannel's: a neighbour, an FDB entry and a route for each node, from prepared files; it has no API to read from.`,
      `CPU at rest was taken over ${idleMs / 1000} s, a resync among it.`,
    ],
    figures: figuresOf(results, whole),
  }
}

export const nodesBenchmark: Benchmark = {
  name: 'nodes',
  summary: 'thousands of nodes at once and one by one, against batches of ip and bridge',
  run,
}
