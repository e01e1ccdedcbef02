// The datapaths: pod to pod across nodes, natively and over the overlay, by the bridge and by programs, against node to node over the
// underlay beneath them and against flannel's VXLAN made by hand on the same underlay. Then what parts of the way by the bridge cost, by
// taking them out one at a time, and how large the programs are.
import { type DatapathName } from '#/model/datapath.ts'
import { type Benchmark, type Effort, type Result, settingsOf } from './benchmark.ts'
import { type Case, flannelPath, measureAll, nodePath, podPath, type RoutingName, twoNodes } from './datapath-cases.ts'
import { killAgents, partCases } from './datapath-parts.ts'
import { programsReport } from './datapath-programs.ts'
import {
  connectionColumns,
  goalsOf,
  names,
  roundTripColumns,
  samplesOf,
  tableOf,
  throughputColumns,
} from './datapath-report.ts'
import { flowMeter, measureRoundTrips } from './flows.ts'
import { type BenchLab } from './lab.ts'
import { Rig } from './rig.ts'

/** `paths` and `parts`: how many of the cases are measured, counted from the last. */
const sizes = {
  smoke: { rounds: 1, seconds: 1, paths: 2, parts: 1, loads: 1 },
  full: { rounds: 7, seconds: 1, paths: 6, parts: 9, loads: 5 },
}

/** The cases from the last on, and only the labs that these need. */
async function pathCases(rig: Rig, overlay: BenchLab, flannel: Case, count: number): Promise<Case[]> {
  const lab = async (datapath: DatapathName, routing: RoutingName) => podPath(await twoNodes(rig, datapath, routing))
  const makers: readonly (() => Case | Promise<Case>)[] = [
    () => ({ name: names.node, path: nodePath(overlay) }),
    async () => ({ name: names.bridgeNative, path: await lab('bridge', 'native') }),
    async () => ({ name: names.ebpfNative, path: await lab('ebpf', 'native') }),
    () => flannel,
    () => ({ name: names.bridgeVxlan, path: podPath(overlay) }),
    async () => ({ name: names.ebpfVxlan, path: await lab('ebpf', 'vxlan') }),
  ]
  const cases: Case[] = []
  for (const make of makers.slice(-count)) cases.push(await make())
  return cases
}

async function run(effort: Effort, say: (line: string) => void): Promise<Result> {
  const { rounds, seconds, paths: pathCount, parts: partCount, loads } = settingsOf(sizes, effort)
  await using rig = new Rig()
  const measureFlow = flowMeter(rig)
  const overlay = await twoNodes(rig, 'bridge', 'vxlan')
  const flannel = { name: names.flannel, path: flannelPath(overlay) }
  const paths = await measureAll(
    await pathCases(rig, overlay, flannel, pathCount),
    rounds,
    (path) => measureFlow(path, seconds),
    (line) => say(`paths, ${line}`),
  )
  killAgents(overlay)
  const parts = await measureAll(
    [flannel, ...partCases(podPath(overlay), [overlay.node(1), overlay.node(2)])].slice(0, partCount),
    rounds,
    (path) => measureRoundTrips(path, seconds),
    (line) => say(`parts, ${line}`),
  )
  const programs = await programsReport(loads)
  return {
    tables: [
      tableOf('Small messages; share of the first row, of rounds in brackets', paths, [
        ...roundTripColumns,
        ...connectionColumns,
      ]),
      tableOf('One flow; share of the first row, of rounds in brackets', paths, throughputColumns),
      tableOf("What parts of the bridge's path over VXLAN cost; share of flannel's", parts, roundTripColumns),
      programs.table,
    ],
    goals: goalsOf(paths),
    notes: [
      `${rounds} rounds, all paths in turn, ${seconds} s for each measurement. IPv4, two nodes on one subnet of a lab, MTU 1500.`,
      'The devices of the underlay have GRO, as network cards do.',
      'Round trips: sockperf, TCP, 14 bytes. Connections: opened, 14 bytes there and back, closed. TCP: iperf3, one flow.',
      'Datagrams: UDP, 14 bytes, counted where they arrive. Client and server share one core, which does nothing else: CPU us a datagram is',
      'the time of that core, sending and receiving programs among it.',
      'The third table was taken with the agents killed, so that nobody mends what is taken out.',
      'Verifier and JIT: from the time at which the kernel began with a program until it began with the next, median of several loads.',
    ],
    figures: { ...samplesOf(paths), ...samplesOf(parts), ...programs.figures },
  }
}

export const datapathBenchmark: Benchmark = {
  name: 'datapath',
  summary: 'pod to pod between nodes, by each datapath, against node to node and flannel; what parts of the way cost',
  run,
}
