// What was measured of datapaths as tables, and whether it is what was wanted. Pure.
import { figure, type Goal, ratioText, type Table } from './benchmark.ts'
import { type Measured } from './datapath-cases.ts'
import { type Flow, type RoundTrips } from './flows.ts'
import { median, roundRatios, spread } from './stats.ts'

type Column<F> = {
  readonly name: string
  readonly of: (flow: F) => number
  /** Whether the share of the first row's value stands beside it. */
  readonly hasShare?: boolean
}

const ratesPerSecond = ({ roundTripUs }: RoundTrips): number => 1e6 / roundTripUs

export const roundTripColumns: readonly Column<RoundTrips>[] = [
  { name: 'round trip p50, us', of: ({ roundTripUs }) => roundTripUs },
  { name: 'p99', of: ({ roundTripP99Us }) => roundTripP99Us },
  { name: 'a second', of: ratesPerSecond, hasShare: true },
]
export const connectionColumns: readonly Column<Flow>[] = [
  { name: 'connections a second', of: ({ connectionsPerSecond }) => connectionsPerSecond, hasShare: true },
]
export const throughputColumns: readonly Column<Flow>[] = [
  { name: 'TCP, Gbit/s', of: ({ gbitPerSecond }) => gbitPerSecond, hasShare: true },
  { name: 'UDP, datagrams a second', of: ({ datagramsPerSecond }) => datagramsPerSecond, hasShare: true },
  { name: 'CPU us a datagram', of: ({ datagramsPerSecond }) => 1e6 / datagramsPerSecond },
]

/** A row for each path, compared with the first. */
export function tableOf<F>(title: string, measured: readonly Measured<F>[], columns: readonly Column<F>[]): Table {
  const base = measured[0]!.flows
  const each = (flows: readonly F[], of: (flow: F) => number): number[][] => flows.map((flow) => [of(flow)])
  const cells = (flows: readonly F[], { of, hasShare }: Column<F>): string[] => {
    const value = median(flows.map(of))
    // what is counted by the thousand has no digits behind the point
    const text = figure(value >= 100 ? Math.round(value) : value)
    if (!hasShare) return [text]
    return [text, ratioText(value / median(base.map(of)), spread(roundRatios(each(flows, of), each(base, of))))]
  }
  return {
    title,
    columns: ['path', ...columns.flatMap(({ name, hasShare }) => (hasShare ? [name, 'share'] : [name]))],
    rows: measured.map(({ name, flows }) => [name, ...columns.flatMap((column) => cells(flows, column))]),
  }
}

/** The samples of each path for programs. */
export function samplesOf<F extends object>(measured: readonly Measured<F>[]): Record<string, number[]> {
  return Object.fromEntries(
    measured.flatMap(({ name, flows }) =>
      Object.keys(flows[0]!).map((field) => [
        `${name}: ${field}`,
        flows.map((flow) => (flow as Readonly<Record<string, number>>)[field]!),
      ]),
    ),
  )
}

export const names = {
  node: 'node to node',
  flannel: "pod to pod, flannel's VXLAN",
  bridgeNative: 'pod to pod, Causeway bridge, native',
  bridgeVxlan: 'pod to pod, Causeway bridge, VXLAN',
  ebpfNative: 'pod to pod, Causeway eBPF, native',
  ebpfVxlan: 'pod to pod, Causeway eBPF, VXLAN',
} as const
type Name = (typeof names)[keyof typeof names]

type Wanted = {
  readonly path: Name
  readonly than: Name
  readonly ratio: number
  readonly what: string
  readonly of: (flow: Flow) => number
}

const roundTrips = { what: 'round trips', of: ratesPerSecond } as const
const throughput = { what: 'TCP throughput', of: ({ gbitPerSecond }: Flow) => gbitPerSecond } as const

const wanted: readonly Wanted[] = [
  { path: names.ebpfNative, than: names.node, ratio: 0.85, ...roundTrips },
  { path: names.ebpfNative, than: names.node, ratio: 0.9, ...roundTrips },
  { path: names.ebpfVxlan, than: names.node, ratio: 0.8, ...roundTrips },
  { path: names.ebpfVxlan, than: names.flannel, ratio: 1.6, ...roundTrips },
  { path: names.ebpfNative, than: names.node, ratio: 0.95, ...throughput },
  { path: names.ebpfVxlan, than: names.node, ratio: 0.95, ...throughput },
  { path: names.bridgeVxlan, than: names.flannel, ratio: 1, ...roundTrips },
  // what a bridge and routing leave, measured with neither netfilter nor an agent
  { path: names.bridgeNative, than: names.node, ratio: 0.72, ...roundTrips },
]

/** The goals about paths that were measured. */
export function goalsOf(measured: readonly Measured<Flow>[]): Goal[] {
  const valueOf = (path: Name, of: (flow: Flow) => number): number | undefined => {
    const flows = measured.find(({ name }) => name === path)?.flows
    return flows && median(flows.map(of))
  }
  return wanted.flatMap(({ path, than, ratio, what, of }) => {
    const [own, other, node] = [valueOf(path, of), valueOf(than, of), valueOf(names.node, of)]
    if (own === undefined || other === undefined) return []
    // nothing can be expected to be faster than the underlay, or hardly
    const ofNode = than === names.node || node === undefined ? undefined : (ratio * other) / node
    const limit = ofNode === undefined ? '' : `; ${ratio} would be ${ofNode.toFixed(2)} of ${names.node}`
    return [
      {
        text: `${path}: at least ${ratio} times the ${what} of "${than}"`,
        measured: `${(own / other).toFixed(2)}${limit}`,
        isReached: own / other >= ratio,
      },
    ]
  })
}
