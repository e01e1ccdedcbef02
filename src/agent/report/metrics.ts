// The metrics that an agent serves at /metrics. docs/metrics.md is made from this catalogue.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { type ReflectorStatus } from '#/cluster/reflector.ts'
import { type NftClient } from '#/kernel/nftables.ts'
import { families, Prefix } from '#/lib/addr.ts'
import { type Counter, type Histogram, Registry, type Sample } from '#/lib/metrics.ts'
import { tableName, tunnelEndSets } from '#/model/names.ts'
import { type RemotePlan } from '#/plan/remote-plan.ts'
import { type Change } from '#/reconcile/driver.ts'
import { type ObjectStatus } from '#/reconcile/status.ts'
import { type CidrRow } from '#/api/schemas/ipam.ts'
import { type ProblemMetricSources, registerProblemMetrics } from './problem-metrics.ts'

/** Where the values come from that this class does not count itself. */
export type MetricSources = {
  readonly objects: () => readonly ObjectStatus[]
  readonly problems: ProblemMetricSources
  readonly pools: () => readonly CidrRow[]
  readonly endpoints: () => number
  readonly leaksReleased: () => number
  readonly nodes: () => number
  readonly nodesWithAgent: () => number
  readonly api: () => ReflectorStatus & { readonly inSync: boolean }
  readonly remotePlans: () => ReadonlyMap<string, RemotePlan>
  /** A client used only for reading the traffic of remote nodes, which may take several turns of the event loop. */
  readonly nftables: Pick<NftClient, 'readTraffic'>
}

const cniBounds = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]
const passBounds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]
const nanosecondsPerSecond = 1e9
/** The period of the timer whose delay is measured. Node's figures include this period. */
const delayResolutionMs = 50
const delayPeriodMs = 20_000
const keptDelayPeriods = 3
const delayQuantiles = [0.5, 0.99, 1] as const
const directions = [
  { name: 'receive', setOf: (family: 4 | 6) => tunnelEndSets(family)[0], words: 'received from' },
  { name: 'transmit', setOf: (family: 4 | 6) => tunnelEndSets(family)[1], words: 'sent to' },
] as const

const alone = (value: number): Sample[] => [{ labels: {}, value }]

export class AgentMetrics implements Disposable {
  readonly registry = new Registry()
  readonly #delay = monitorEventLoopDelay({ resolution: delayResolutionMs })
  readonly #delayPeriod = setInterval(() => this.#beginDelayPeriod(), delayPeriodMs).unref()
  readonly #pastDelays: ReadonlyMap<number, number>[] = []
  readonly #operations: Counter
  readonly #passes: Histogram
  readonly #nodeChanges: Histogram
  readonly #calls: Counter
  readonly #callTimes: Histogram

  constructor(sources: MetricSources) {
    const { registry } = this
    this.#delay.enable()
    this.#operations = registry.counter(
      'causeway_reconcile_operations_total',
      'Changes to kernel objects, by kind of object, verb (add, change, delete) and result (ok, error).',
    )
    this.#passes = registry.histogram(
      'causeway_reconcile_pass_duration_seconds',
      'How long passes of the reconciler took, planning included.',
      passBounds,
    )
    this.#nodeChanges = registry.histogram(
      'causeway_node_change_duration_seconds',
      'From the event about a changed node until the kernel has what it asks for.',
      passBounds,
    )
    this.#calls = registry.counter(
      'causeway_cni_requests_total',
      'CNI calls, by command (INVALID where it cannot be read) and error code (0 is success).',
    )
    this.#callTimes = registry.histogram(
      'causeway_cni_request_duration_seconds',
      'How long CNI calls took in the agent, waiting included, by command.',
      cniBounds,
    )
    this.#gaugesOf(sources)
    this.#trafficOf(sources)
    this.#processMetrics()
  }

  changesMade(kind: string, verb: Change['verb'], succeeded: number, failed: number): void {
    if (succeeded > 0) this.#operations.add({ kind, verb, result: 'ok' }, succeeded)
    if (failed > 0) this.#operations.add({ kind, verb, result: 'error' }, failed)
  }

  passEnded(durationMs: number): void {
    this.#passes.observe({}, durationMs / 1000)
  }

  /** `durationMs` is the time since the earliest of the events that the pass handled. */
  nodesChanged(durationMs: number): void {
    this.#nodeChanges.observe({}, durationMs / 1000)
  }

  answered(command: string, code: number, durationMs: number): void {
    this.#calls.add({ command, code: String(code) })
    this.#callTimes.observe({ command }, durationMs / 1000)
  }

  #gaugesOf(sources: MetricSources): void {
    const { registry } = this
    registry.gauge('causeway_objects', 'Kernel objects that are wanted, by kind and state (done, error).', () => {
      const counts = new Map<string, { labels: { kind: string; state: string }; value: number }>()
      for (const { kind, state } of sources.objects()) {
        const count = counts.get(`${kind} ${state}`) ?? { labels: { kind, state }, value: 0 }
        count.value++
        counts.set(`${kind} ${state}`, count)
      }
      return counts.values()
    })
    registerProblemMetrics(registry, sources.problems)
    registry.gauge(
      'causeway_addresses',
      'Addresses for pods, by pod CIDR, its family and state: used, cooling (given back a moment ago) or free.',
      () =>
        sources.pools().flatMap(({ cidr, used, coolingDown, free }) =>
          Object.entries({ used, cooling: coolingDown, free }).map(([state, count]) => ({
            labels: { cidr, family: `ipv${Prefix.parse(cidr).family}`, state },
            value: Number(count),
          })),
        ),
    )
    registry.gauge('causeway_endpoints', 'Pods of this node that have addresses.', () => alone(sources.endpoints()))
    registry.counterFrom(
      'causeway_leaked_endpoints_released_total',
      'Endpoints that were released because their namespace was gone and no DEL came.',
      () => alone(sources.leaksReleased()),
    )
    registry.gauge('causeway_nodes', 'Nodes of the cluster that are known.', () => alone(sources.nodes()))
    registry.gauge(
      'causeway_nodes_with_agent',
      'Nodes of the cluster whose Node objects tell that an agent has worked there, now or before.',
      () => alone(sources.nodesWithAgent()),
    )
    registry.gauge('causeway_watch_in_sync', '1 when the whole list of nodes has been seen.', () =>
      alone(sources.api().inSync ? 1 : 0),
    )
    registry.gauge(
      'causeway_watch_up',
      '1 while the watch of nodes is open, 0 while it lists or waits to try again.',
      () => alone(sources.api().phase === 'watching' ? 1 : 0),
    )
    registry.gauge(
      'causeway_watch_last_event_timestamp_seconds',
      'When the watch of nodes last told something, bookmarks included.',
      () => {
        const { lastEventAtMs } = sources.api()
        return lastEventAtMs === undefined ? [] : alone(lastEventAtMs / 1000)
      },
    )
    registry.counterFrom('causeway_watch_restarts_total', 'How often the watch of nodes was begun anew.', () =>
      alone(sources.api().restarts),
    )
  }

  #trafficOf({ remotePlans, nftables }: MetricSources): void {
    for (const { name, setOf, words } of directions) {
      for (const unit of ['bytes', 'packets'] as const) {
        this.registry.counterFrom(
          `causeway_peer_${name}_${unit}_total`,
          `Outer ${unit} of the tunnel ${words} a node. Begins anew when the table is made anew.`,
          async () => {
            const nodeOf = nodesByAddr(remotePlans())
            const samples: Sample[] = []
            for (const family of families) {
              for (const { addr, traffic } of await nftables.readTraffic('inet', tableName, setOf(family))) {
                samples.push({
                  // "node" is the label that targets of a scrape have: the agent's own node
                  labels: { peer_node: nodeOf.get(String(addr)) ?? '', address: String(addr) },
                  value: traffic[unit],
                })
              }
            }
            return samples
          },
        )
      }
    }
  }

  #processMetrics(): void {
    const { registry } = this
    registry.gauge(
      'causeway_event_loop_delay_seconds',
      'How long the event loop was held up, in the last minute and more: quantiles and the longest (quantile 1).',
      () =>
        delayQuantiles.map((quantile) => ({
          labels: { quantile: String(quantile) },
          value: this.#worstDelay(quantile),
        })),
    )
    registry.gauge('process_resident_memory_bytes', 'Resident memory.', () => alone(process.memoryUsage.rss()))
    registry.counterFrom('process_cpu_seconds_total', 'Processor time, user and system.', () => {
      const { user, system } = process.cpuUsage()
      return alone((user + system) / 1e6)
    })
    registry.gauge('process_start_time_seconds', 'When the process started.', () =>
      alone(Math.round(performance.timeOrigin) / 1000),
    )
  }

  /** The longest delay over several periods: they are reset by a timer, not by reading, so that readers do not disturb each other. */
  #worstDelay(quantile: number): number {
    return Math.max(this.#delaySeconds(quantile), ...this.#pastDelays.map((past) => past.get(quantile) ?? 0))
  }

  #delaySeconds(quantile: number): number {
    const found = quantile === 1 ? this.#delay.max : this.#delay.percentile(quantile * 100)
    return Math.max(0, found / nanosecondsPerSecond - delayResolutionMs / 1000)
  }

  #beginDelayPeriod(): void {
    this.#pastDelays.push(new Map(delayQuantiles.map((quantile) => [quantile, this.#delaySeconds(quantile)])))
    if (this.#pastDelays.length > keptDelayPeriods) this.#pastDelays.shift()
    this.#delay.reset()
  }

  [Symbol.dispose](): void {
    this.#delay.disable()
    clearInterval(this.#delayPeriod)
  }
}

function nodesByAddr(remotePlans: ReadonlyMap<string, RemotePlan>): ReadonlyMap<string, string> {
  return new Map(
    [...remotePlans].flatMap(([name, { tunnelEnds }]) => tunnelEnds.map((addr) => [String(addr), name] as const)),
  )
}
