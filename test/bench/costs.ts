// What one agent costs over its life in a large dual-stack cluster: CPU time and memory, from a few nodes to thousands, and as one that
// starts with thousands. The reference is another version of the code: CAUSEWAY_BENCH_AGAINST names its clone, set up with
// `sh scripts/setup.sh bench`. Without it the code runs against itself, which shows how much the machine makes the figures differ.
import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { nodesPath } from '#/cluster/paths.ts'
import { type Benchmark, type Effort, figure, ratioText, type Result, settingsOf, type Size } from './benchmark.ts'
import { KernelRoutes } from './kernel-routes.ts'
import { RigError } from './netns.ts'
import { clusterCIDR, clusterCIDR6, dualStackNode, nodeAddr6Of, numbers, podCIDROf, underlayCIDR6 } from './nodes-of.ts'
import { monotonicMs } from './clock.ts'
import { callAll, ownCaller } from './pods.ts'
import { type BenchAgent, pluginOf, repository } from './processes.ts'
import { Rig } from './rig.ts'
import { median, roundRatios, spread } from './stats.ts'

type CostsSettings = {
  readonly rounds: number
  readonly many: number
  readonly pods: number
  readonly arrivals: number
  readonly quietMs: number
}

const sizes: Readonly<Record<Size, CostsSettings>> = {
  smoke: { rounds: 1, many: 50, pods: 2, arrivals: 2, quietMs: 100 },
  full: { rounds: 5, many: 5000, pods: 100, arrivals: 100, quietMs: 500 },
}

const fewNodes = 3
const timeoutMs = 120_000
/** Between single arrivals: longer than an agent gathers changes. */
const pauseMs = 40

const rows = [
  'until the node is ready, 3 nodes, CPU s',
  'all nodes at once, CPU s',
  'pods, one after the other, CPU s',
  'nodes, one after the other, CPU s',
  'all of this, CPU s',
  'memory then (VmRSS), MiB',
  'started with all nodes: until it is idle, CPU s',
  'memory then (VmRSS), MiB, restarted',
  'its peak (VmHWM), MiB',
] as const
type Row = (typeof rows)[number]
type Costs = Readonly<Record<Row, number>>

/** What a change of the code may make dearer before somebody should know why. */
const mostRatio = 1.1
const isBounded = (row: Row): boolean => row.startsWith('all of this') || row.startsWith('memory')

/** Waits until the agent has had nothing to do for a while. */
async function settle(agent: BenchAgent, quietMs: number): Promise<void> {
  const deadlineMs = monotonicMs() + timeoutMs
  for (let before = agent.use.cpuMs; ;) {
    await sleep(quietMs)
    agent.mustRun()
    const { cpuMs } = agent.use
    if (cpuMs - before <= quietMs / 20) return
    if (monotonicMs() > deadlineMs) throw new RigError(`the agent has not come to rest in ${timeoutMs / 1000} s`)
    before = cpuMs
  }
}

async function untilRoutes(routes: KernelRoutes, upTo: number): Promise<void> {
  const deadlineMs = monotonicMs() + timeoutMs
  while (!routes.hasAll(numbers(2, upTo).map(podCIDROf))) {
    await sleep(20)
    if (monotonicMs() > deadlineMs) throw new RigError('not all routes are in the kernel')
  }
}

async function life(clone: string, settings: CostsSettings, say: (line: string) => void): Promise<Costs> {
  const { many, pods, arrivals, quietMs } = settings
  await using rig = new Rig()
  const host = rig.node('node')
  host.sh(`ip addr add ${nodeAddr6Of(1)}/${underlayCIDR6.length} dev eth0 nodad`)
  const api = await rig.api(host)
  const options = { clone, clusterCIDRs: [clusterCIDR, clusterCIDR6] }
  await api.createNodes(numbers(1, fewNodes), dualStackNode)
  const agent = await rig.agent(host, api, options)
  await settle(agent, quietMs)
  const marks = [agent.use.cpuMs]
  const mark = async (): Promise<void> => {
    await settle(agent, quietMs)
    marks.push(agent.use.cpuMs)
  }
  using routes = new KernelRoutes(host)
  await api.hold()
  await api.createNodes(numbers(fewNodes + 1, many), dualStackNode)
  await api.release()
  await untilRoutes(routes, many)
  await mark()
  const caller = ownCaller(rig, host, agent.pluginEnv, { plugin: pluginOf(clone) })
  const pod = rig.netns('pod')
  for (let index = 0; index < pods; index++) {
    callAll(caller, 'ADD', [pod])
    callAll(caller, 'DEL', [pod])
    await sleep(2)
  }
  await mark()
  for (const number of numbers(many + 1, many + arrivals)) {
    await sleep(pauseMs)
    await api.client.create(nodesPath(), dualStackNode(number))
  }
  await untilRoutes(routes, many + arrivals)
  await mark()
  const [started, burst, wired, arrived] = marks as [number, number, number, number]
  const { residentMiB } = agent.use
  await agent[Symbol.asyncDispose]()
  const restarted = await rig.agent(host, api, options)
  await settle(restarted, quietMs)
  const restartMs = restarted.use.cpuMs
  const { residentMiB: restartedMiB, peakResidentMiB } = restarted.use
  const values = [
    started / 1000,
    (burst - started) / 1000,
    (wired - burst) / 1000,
    (arrived - wired) / 1000,
    arrived / 1000,
    residentMiB,
    restartMs / 1000,
    restartedMiB,
    peakResidentMiB,
  ]
  say(`${clone}: ${values.map((value) => figure(value)).join(' ')}`)
  return Object.fromEntries(rows.map((row, index) => [row, values[index]!])) as Costs
}

/** Nothing where one of them used so little that it was not counted. */
function ratioOf(ours: readonly number[], theirs: readonly number[]): string {
  if ([...ours, ...theirs].includes(0)) return ''
  const ratios = roundRatios(
    ours.map((each) => [each]),
    theirs.map((each) => [each]),
  )
  return ratioText(median(ours) / median(theirs), spread(ratios))
}

function versionOf(clone: string): string {
  return spawnSync('git', ['-C', clone, 'rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).stdout.trim()
}

async function run(effort: Effort, say: (line: string) => void): Promise<Result> {
  const settings = settingsOf(sizes, effort)
  const against = process.env['CAUSEWAY_BENCH_AGAINST'] ?? repository
  const [ours, theirs]: [Costs[], Costs[]] = [[], []]
  for (let round = 1; round <= settings.rounds; round++) {
    say(`round ${round} of ${settings.rounds}`)
    if (round % 2 === 0) theirs.push(await life(against, settings, say))
    ours.push(await life(repository, settings, say))
    if (round % 2 === 1) theirs.push(await life(against, settings, say))
  }
  const of = (all: readonly Costs[], row: Row): number[] => all.map((costs) => costs[row])
  return {
    tables: [
      {
        title: `An agent's life with ${settings.many.toLocaleString('en-US')} dual-stack nodes`,
        columns: ['what', 'this code', 'the reference', 'ratio (of rounds)'],
        rows: rows.map((row) => {
          const [one, other] = [of(ours, row), of(theirs, row)]
          return [row, figure(median(one)), figure(median(other)), ratioOf(one, other)]
        }),
      },
    ],
    goals: rows.filter(isBounded).map((row) => {
      const [one, other] = [median(of(ours, row)), median(of(theirs, row))]
      return {
        text: `${row}: at most ${mostRatio} times the reference`,
        measured: `${figure(one)}, ${figure(other)}`,
        isReached: one <= other * mostRatio,
      }
    }),
    notes: [
      `${settings.rounds} rounds, both sides in turn; ${settings.pods} pods and ${settings.arrivals} single arrivals. CPU is user and system time. The reference is ${versionOf(against)}.`,
    ],
    figures: Object.fromEntries(
      rows.flatMap((row) => [
        [`this ${row}`, of(ours, row)],
        [`reference ${row}`, of(theirs, row)],
      ]),
    ),
  }
}

export const costsBenchmark: Benchmark = {
  name: 'costs',
  summary: 'CPU and memory of an agent over its life with thousands of nodes, against another version',
  run,
}
