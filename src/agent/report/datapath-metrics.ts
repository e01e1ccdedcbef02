// The metrics of the eBPF datapath: what its programs have counted for the pods of this node, read at every scrape.
import { entryCount, type Generation, type PodTraffic, readDrops, readTraffic, slotsUsed } from '#/datapath/programs.ts'
import { type Labels, type Registry, type Sample } from '#/lib/metrics.ts'
import { mapLayouts, type MapName, maxSlots } from '#/wire/bpf/maps.ts'
import { hookName, podDirections, reasonTold, trafficWays } from '#/wire/bpf/words.ts'

export type DatapathMetricSources = {
  /** Undefined: no programs, and no samples. */
  readonly generation: () => Generation | undefined
  /** NAMESPACE/NAME of each pod, by the index of its host device. */
  readonly pods: () => ReadonlyMap<number, string>
}

/** One scrape reads packets and bytes at once. */
const freshMs = 200

function podLabels(pod: string | undefined): Labels {
  const [namespace = '', name = ''] = pod?.split('/') ?? []
  return { pod: name, namespace }
}

/** Values by their labels: while a pod is made anew under its name, two devices are of one pod. */
class Sums {
  readonly #sums = new Map<string, { readonly labels: Labels; value: number }>()

  add(labels: Labels, value: number): void {
    const key = Object.values(labels).join(' ')
    const sum = this.#sums.get(key)
    if (sum) sum.value += value
    else this.#sums.set(key, { labels, value })
  }

  get samples(): readonly Sample[] {
    return [...this.#sums.values()]
  }
}

export function registerDatapathMetrics(registry: Registry, { generation, pods }: DatapathMetricSources): void {
  let last: { readonly atMs: number; readonly traffic: Promise<ReadonlyMap<number, PodTraffic>> } | undefined
  const traffic = (current: Generation): Promise<ReadonlyMap<number, PodTraffic>> => {
    if (last === undefined || performance.now() - last.atMs > freshMs)
      last = { atMs: performance.now(), traffic: readTraffic(current) }
    return last.traffic
  }
  for (const unit of ['packets', 'bytes'] as const) {
    registry.counterFrom(
      `causeway_datapath_${unit}_total`,
      `${unit === 'packets' ? 'Packets' : 'Bytes'} of pods of this node, by direction (from_pod, to_pod) and way: carried by programs (local, native, tunnel), or by the node's network stack (stack). What segmentation offload has joined is one packet.`,
      async () => {
        const current = generation()
        if (current === undefined) return []
        const sums = new Sums()
        const names = pods()
        for (const [device, each] of await traffic(current)) {
          const pod = names.get(device)
          if (pod === undefined) continue
          for (const direction of podDirections)
            for (const way of trafficWays) sums.add({ ...podLabels(pod), direction, way }, each[direction][way][unit])
        }
        return sums.samples
      },
    )
  }
  registry.counterFrom(
    'causeway_datapath_drops_total',
    'Packets that programs dropped, by reason (docs/ebpf.md) and direction (from_pod, to_pod, from_underlay, from_tunnel); without a pod for those from other nodes.',
    () => {
      const current = generation()
      if (current === undefined) return []
      const names = pods()
      const sums = new Sums()
      for (const { device, hook, reason, packets } of readDrops(current))
        sums.add(
          {
            ...podLabels(names.get(device)),
            direction: hookName(hook) ?? String(hook),
            reason: reasonTold(reason).name,
          },
          packets,
        )
      return sums.samples
    },
  )
  const fill = (entriesOf: (current: Generation, map: MapName) => number | undefined) => () => {
    const current = generation()
    if (current === undefined) return []
    return (Object.keys(mapLayouts) as MapName[]).flatMap((map): Sample[] => {
      const value = entriesOf(current, map)
      return value === undefined ? [] : [{ labels: { map }, value }]
    })
  }
  registry.gauge(
    'causeway_datapath_map_entries',
    "Entries of a map of the eBPF datapath; of cw_traffic the pods that have counters. What has no entry takes the way of the node's network stack.",
    fill((current, map) => (map === 'cw_traffic' ? slotsUsed(current) : entryCount(current, map))),
  )
  registry.gauge(
    'causeway_datapath_map_max_entries',
    'How many entries the map has room for.',
    fill((_, map) => {
      const { type, maxEntries } = mapLayouts[map]
      if (map === 'cw_traffic') return maxSlots
      return type === 'ringbuf' || type.endsWith('array') ? undefined : maxEntries
    }),
  )
}
