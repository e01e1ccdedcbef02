// The metrics of probes in /metrics: those of the ways that are looked after, which are a few whatever the number of nodes is.
import { type Registry, type Sample } from '#/lib/metrics.ts'
import { type Judged } from '../probing/judge.ts'

const sizes = ['small', 'full'] as const
const quantiles = [0, 0.5, 1] as const

/** Not "node" for the other one: targets of a scrape have that label, with the name of the agent's own node. */
function labelsOf({ way: { target } }: Judged): { peer_node: string; path: string; family: string } {
  return { peer_node: target.node, path: target.path, family: `ipv${target.family}` }
}

export function registerProbeMetrics(registry: Registry, ways: () => readonly Judged[]): void {
  const counter = (name: string, help: string, valueOf: (tally: { sent: number; lost: number }) => number): void =>
    registry.counterFrom(name, help, () =>
      ways().flatMap((each) =>
        sizes
          .filter((size) => each.way.bytesOf(size) !== undefined)
          .map((size): Sample => ({ labels: { ...labelsOf(each), size }, value: valueOf(each.way.sizes[size]) })),
      ),
    )
  counter(
    'causeway_probe_sent_total',
    'Probes sent to another node, by path (node: its address; pod: as packets of pods, to its gateway), family and size (small; full: the largest that the way is to carry). Begins anew when the node becomes a partner again.',
    ({ sent }) => sent,
  )
  counter(
    'causeway_probe_lost_total',
    'Of these, those without an answer within a second, or with an error.',
    ({ lost }) => lost,
  )
  registry.gauge(
    'causeway_probe_round_trip_seconds',
    'How long the answers of the last minute to small probes took: the shortest (quantile 0), the median and the longest (1).',
    () =>
      ways().flatMap((each) => {
        const { rttsMs } = each.way
        return quantiles.flatMap((quantile): Sample[] => {
          const ms = rttsMs[Math.min(Math.floor(rttsMs.length * quantile), rttsMs.length - 1)]
          return ms === undefined
            ? []
            : [{ labels: { ...labelsOf(each), quantile: String(quantile) }, value: ms / 1000 }]
        })
      }),
  )
  registry.gauge(
    'causeway_probe_way',
    '1, with the state of the way as a label: ok, lossy, small only, one way, broken, or unknown (docs/probing.md).',
    () => ways().map((each) => ({ labels: { ...labelsOf(each), state: each.state }, value: 1 })),
  )
}
