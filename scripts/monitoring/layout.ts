// What the dashboard shows: the upper three rows answer whether the cluster's network is healthy, where it is not, and since when.
import { colors, heatmap, matrix, type Panel, stat, table, timeSeries, zeroIsFine } from './panels.ts'

/** Agents as targets of Prometheus. */
const up = 'up{job=~"(.+/)?causeway-agent", cluster=~"$cluster", node=~"$node"}'

/** A metric of the nodes that are chosen. */
function of(metric: string, ...matchers: readonly string[]): string {
  return `${metric}{${['cluster=~"$cluster"', 'node=~"$node"', ...matchers].join(', ')}}`
}

/** Where no agent answers there is no number, rather than a green 0. */
const orZero = (expr: string): string => `${expr} or 0 * count(${up} == 1)`
const rate = (series: string): string => `rate(${series}[$__rate_interval])`

/** The 99th percentile of a histogram, of all nodes that are chosen. */
function p99(metric: string, ...matchers: readonly string[]): string {
  return `histogram_quantile(0.99, sum by (le) (${rate(of(`${metric}_bucket`, ...matchers))}))`
}

const podWays = 'path="pod"'
const lossByPair = `max by (node, peer_node) (${rate(of('causeway_probe_lost_total', podWays, 'size="small"'))} / ${rate(of('causeway_probe_sent_total', podWays, 'size="small"'))})`
const notUsed = `sum by (cluster, node, family) (${of('causeway_addresses', 'state!="used"')})`
const addresses = `sum by (cluster, node, family) (${of('causeway_addresses')})`

const numbers: readonly Panel[] = [
  stat({
    title: 'Nodes',
    about: 'Nodes of the cluster, as agents know them.',
    place: { x: 0, y: 0, w: 3, h: 4 },
    targets: [{ expr: `sum(max by (cluster) (${of('causeway_nodes')}))` }],
    thresholds: [[colors.plain, null]],
  }),
  stat({
    title: 'Agents away',
    about: 'Agents that Prometheus gets no metrics from. Pods that run keep their network; new ones wait.',
    place: { x: 3, y: 0, w: 3, h: 4 },
    targets: [{ expr: orZero(`count(${up} == 0)`) }],
    thresholds: zeroIsFine,
  }),
  stat({
    title: 'Nodes not ready',
    about: 'Nodes on which new pods get no network, or those that run are cut off. The table below says why.',
    place: { x: 6, y: 0, w: 3, h: 4 },
    targets: [
      {
        expr: orZero(
          `count(count by (cluster, node, instance) (${of('causeway_problem_since_timestamp_seconds', 'readiness="not ready"')}))`,
        ),
      },
    ],
    thresholds: zeroIsFine,
  }),
  stat({
    title: 'Problems',
    about: 'Problems that agents tell, each object once. docs/problems.md explains the codes.',
    place: { x: 9, y: 0, w: 3, h: 4 },
    targets: [
      { expr: orZero(`count(count by (cluster, code, object) (${of('causeway_problem_since_timestamp_seconds')}))`) },
    ],
    thresholds: [
      [colors.fine, null],
      [colors.odd, 1],
    ],
  }),
  stat({
    title: 'Ways that lose packets',
    about:
      'Ways to other nodes on which probes are lost, all, large ones or some. Each node asks eight others at most.',
    place: { x: 12, y: 0, w: 3, h: 4 },
    targets: [{ expr: orZero(`count(${of('causeway_probe_way', podWays, 'state!~"ok|unknown"')})`) }],
    thresholds: zeroIsFine,
  }),
  stat({
    title: 'BGP sessions down',
    about: 'Sessions that are configured and not established.',
    place: { x: 15, y: 0, w: 3, h: 4 },
    targets: [{ expr: orZero(`count(${of('causeway_bgp_session_established')} == 0)`) }],
    thresholds: zeroIsFine,
  }),
  stat({
    title: 'Fewest addresses left',
    about: 'Of the node that has the fewest pod addresses left. At 0 new pods do not start there.',
    place: { x: 18, y: 0, w: 3, h: 4 },
    targets: [{ expr: `min(${notUsed} / ${addresses})` }],
    unit: 'percentunit',
    thresholds: [
      [colors.bad, null],
      [colors.odd, 0.05],
      [colors.fine, 0.15],
    ],
  }),
  stat({
    title: 'Policies not enforced',
    about: 'Nodes whose kernel does not have what network policies ask for.',
    place: { x: 21, y: 0, w: 3, h: 4 },
    targets: [{ expr: orZero(`count(${of('causeway_policy_enforced')} == 0)`) }],
    thresholds: zeroIsFine,
  }),
]

const whatIsWrong: readonly Panel[] = [
  table({
    title: 'What is wrong now',
    about:
      'Problems, the oldest first, as far as agents that run know. "causeway doctor" makes of them one finding for each cause, with what to do.',
    place: { x: 0, y: 4, w: 13, h: 9 },
    targets: [
      {
        expr: `min by (code, object, node, readiness) (${of('causeway_problem_since_timestamp_seconds')}) * 1000`,
        isInstant: true,
      },
    ],
    columns: [
      { name: 'Value', title: 'Since', unit: 'dateTimeFromNow', width: 130 },
      { name: 'code', title: 'Code', width: 90 },
      { name: 'object', title: 'Object' },
      { name: 'node', title: 'Told by' },
      { name: 'readiness', title: 'The node is' },
    ],
    sortBy: 'Since',
  }),
  timeSeries({
    title: 'Problems by code',
    about: 'How many nodes and objects, over time: when it began, and whether it spreads.',
    place: { x: 13, y: 4, w: 11, h: 9 },
    targets: [{ expr: `sum by (code) (${of('causeway_problems')})`, legend: '{{code}}' }],
    isStacked: true,
  }),
]

const ways: readonly Panel[] = [
  matrix({
    title: 'Loss from node to node',
    about: 'Lines: who asks. Columns: who is asked. Of small packets that go as packets of pods. Empty: not asked.',
    place: { x: 0, y: 13, w: 13, h: 9 },
    targets: [{ expr: lossByPair, isInstant: true }],
    unit: 'percentunit',
    thresholds: [
      [colors.fine, null],
      [colors.odd, 0.01],
      [colors.bad, 0.05],
    ],
    rows: 'node',
    columns: 'peer_node',
  }),
  timeSeries({
    title: 'Ways by state',
    about:
      'States of ways to other nodes (docs/probing.md). What is not ok loses packets; of unknown ways nothing is known yet.',
    place: { x: 13, y: 13, w: 11, h: 9 },
    targets: [{ expr: `count by (state) (${of('causeway_probe_way', podWays)})`, legend: '{{state}}' }],
    isStacked: true,
    seriesColors: {
      ok: colors.fine,
      unknown: colors.faint,
      lossy: 'yellow',
      'small only': colors.odd,
      'one way': 'dark-red',
      broken: colors.bad,
    },
  }),
  heatmap({
    title: 'Round trips between nodes',
    about: 'Median of each way, of packets that go as packets of pods: how many ways take how long.',
    place: { x: 0, y: 22, w: 12, h: 8 },
    targets: [
      { expr: of('causeway_probe_round_trip_seconds', podWays, 'quantile="0.5"'), legend: '{{node}} to {{peer_node}}' },
    ],
    unit: 's',
  }),
  timeSeries({
    title: 'Loss, the ten worst ways',
    about: 'Loss of small packets that go as packets of pods.',
    place: { x: 12, y: 22, w: 12, h: 8 },
    targets: [{ expr: `topk(10, ${lossByPair})`, legend: '{{node}} to {{peer_node}}' }],
    unit: 'percentunit',
    max: 1,
  }),
]

const addressesAndSessions: readonly Panel[] = [
  timeSeries({
    title: 'Addresses in use, the ten fullest nodes',
    about: 'Of the pod addresses that a node has of a family.',
    place: { x: 0, y: 30, w: 8, h: 8 },
    targets: [
      {
        expr: `topk(10, sum by (cluster, node, family) (${of('causeway_addresses', 'state="used"')}) / ${addresses})`,
        legend: '{{node}} {{family}}',
      },
    ],
    unit: 'percentunit',
    max: 1,
  }),
  table({
    title: 'BGP sessions that are down',
    about: '"causeway bgp peers" says why.',
    place: { x: 8, y: 30, w: 8, h: 8 },
    targets: [
      {
        expr: `min by (node, peer) (${of('causeway_bgp_session_since_timestamp_seconds')} and ${of('causeway_bgp_session_established')} == 0) * 1000`,
        isInstant: true,
      },
    ],
    columns: [
      { name: 'Value', title: 'Since', unit: 'dateTimeFromNow', width: 130 },
      { name: 'node', title: 'Node' },
      { name: 'peer', title: 'Peer' },
    ],
    sortBy: 'Since',
  }),
  timeSeries({
    title: 'BGP sessions',
    about: 'Established, and down. A session that comes and goes is seen by its flaps.',
    place: { x: 16, y: 30, w: 8, h: 8 },
    targets: [
      { expr: `sum(${of('causeway_bgp_session_established')})`, legend: 'established' },
      { expr: `count(${of('causeway_bgp_session_established')} == 0)`, legend: 'down' },
      { expr: `sum(increase(${of('causeway_bgp_session_flaps_total')}[$__rate_interval]))`, legend: 'flaps' },
    ],
    seriesColors: { established: colors.fine, down: colors.bad, flaps: colors.odd },
  }),
]

const howSoon: readonly Panel[] = [
  timeSeries({
    title: 'From an event to the kernel, 99th percentile',
    about:
      'How soon a changed node, and a changed policy or pod, count in the kernel, and how long a pass of the reconciler takes.',
    place: { x: 0, y: 38, w: 8, h: 8 },
    targets: [
      { expr: p99('causeway_node_change_duration_seconds'), legend: 'node' },
      { expr: p99('causeway_policy_event_duration_seconds'), legend: 'policy' },
      { expr: p99('causeway_reconcile_pass_duration_seconds'), legend: 'pass' },
    ],
    unit: 's',
  }),
  timeSeries({
    title: 'New pods: how long ADD takes in the agent',
    about: 'CNI calls ADD: median and 99th percentile, waiting included.',
    place: { x: 8, y: 38, w: 8, h: 8 },
    targets: [
      { expr: p99('causeway_cni_request_duration_seconds', 'command="ADD"'), legend: '99 %' },
      { expr: p99('causeway_cni_request_duration_seconds', 'command="ADD"').replace('0.99', '0.5'), legend: 'median' },
    ],
    unit: 's',
  }),
  timeSeries({
    title: 'New pods: answers to ADD',
    about:
      'CNI calls ADD by their answer, 0 is success. With 11 the runtime tries again: "causeway status" says what is waited for.',
    place: { x: 16, y: 38, w: 8, h: 8 },
    targets: [
      { expr: `sum by (code) (${rate(of('causeway_cni_requests_total', 'command="ADD"'))})`, legend: 'code {{code}}' },
    ],
    unit: 'ops',
    seriesColors: { 'code 0': colors.fine, 'code 11': colors.odd },
  }),
]

const drops: readonly Panel[] = [
  timeSeries({
    title: 'Packets that policies deny',
    about:
      'By namespace of the pod and direction; audit: what enforcing would deny. "causeway policy denials" names pods and policy.',
    place: { x: 0, y: 46, w: 8, h: 8 },
    targets: [
      {
        expr: `sum by (namespace, direction, mode) (${rate(of('causeway_policy_denied_packets_total'))})`,
        legend: '{{namespace}} {{direction}} {{mode}}',
      },
    ],
    unit: 'pps',
  }),
  timeSeries({
    title: 'Packets that the eBPF datapath drops',
    about: 'By reason (docs/ebpf.md). Empty where no node has that datapath.',
    place: { x: 8, y: 46, w: 8, h: 8 },
    targets: [{ expr: `sum by (reason) (${rate(of('causeway_datapath_drops_total'))})`, legend: '{{reason}}' }],
    unit: 'pps',
  }),
  timeSeries({
    title: 'Changes to the kernel',
    about:
      'Objects that agents add, change and delete, by kind; error: the kernel refuses it. Much of one kind all the time: somebody else changes it too.',
    place: { x: 16, y: 46, w: 8, h: 8 },
    targets: [
      {
        expr: `sum by (kind, result) (${rate(of('causeway_reconcile_operations_total'))})`,
        legend: '{{kind}} {{result}}',
      },
    ],
    unit: 'ops',
  }),
]

const agents: readonly Panel[] = [
  timeSeries({
    title: 'Processor time of agents, the ten busiest',
    about: 'In processors.',
    place: { x: 0, y: 54, w: 8, h: 8 },
    targets: [
      { expr: `topk(10, ${rate(of('process_cpu_seconds_total', 'job=~"(.+/)?causeway-agent"'))})`, legend: '{{node}}' },
    ],
  }),
  timeSeries({
    title: 'Memory of agents, the ten largest',
    about: 'Resident. "causeway install" sets a limit of 512 MiB.',
    place: { x: 8, y: 54, w: 8, h: 8 },
    targets: [
      { expr: `topk(10, ${of('process_resident_memory_bytes', 'job=~"(.+/)?causeway-agent"')})`, legend: '{{node}}' },
    ],
    unit: 'bytes',
  }),
  timeSeries({
    title: 'Event loop of agents, the ten slowest',
    about:
      'How long it was held up at most, in the last minute and more. Above a second an agent has too little processor time.',
    place: { x: 16, y: 54, w: 8, h: 8 },
    targets: [{ expr: `topk(10, ${of('causeway_event_loop_delay_seconds', 'quantile="1"')})`, legend: '{{node}}' }],
    unit: 's',
  }),
]

export const panels: readonly Panel[] = [
  ...numbers,
  ...whatIsWrong,
  ...ways,
  ...addressesAndSessions,
  ...howSoon,
  ...drops,
  ...agents,
]
