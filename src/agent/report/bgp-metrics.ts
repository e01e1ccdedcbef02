// The agent's BGP metrics in /metrics. Each session has its own samples, so that an operator sees which one is down.
import { type Registry, type Sample } from '#/lib/metrics.ts'
import { type PeerStatus } from '#/model/bgp.ts'

export type BgpMetricSources = {
  readonly sessions: () => Promise<readonly PeerStatus[]>
  /** The number of prefixes learned; `notInstalled` is how many of them are not in the kernel. */
  readonly learned: () => number
  readonly notInstalled: () => number
}

function perPeer(peers: readonly PeerStatus[], valueOf: (peer: PeerStatus) => number | undefined): Sample[] {
  return peers.flatMap((peer) => {
    const value = valueOf(peer)
    return value === undefined ? [] : [{ labels: { peer: peer.name }, value }]
  })
}

export function registerBgpMetrics(registry: Registry, { sessions, learned, notInstalled }: BgpMetricSources): void {
  const gauge = (name: string, help: string, valueOf: (peer: PeerStatus) => number | undefined): void =>
    registry.gauge(name, help, async () => perPeer(await sessions(), valueOf))
  gauge('causeway_bgp_session_established', '1 while the BGP session is established, by peer.', ({ state }) =>
    state === 'Established' ? 1 : 0,
  )
  gauge(
    'causeway_bgp_session_since_timestamp_seconds',
    'Since when the BGP session is in its state.',
    ({ sinceMs }) => sinceMs / 1000,
  )
  gauge('causeway_bgp_bfd_up', '1 while BFD sees the peer; only of peers with BFD.', ({ bfd }) =>
    bfd === undefined ? undefined : bfd === 'Up' ? 1 : 0,
  )
  gauge('causeway_bgp_prefixes_received', 'Prefixes that the peer has sent and not withdrawn.', (peer) => peer.received)
  gauge('causeway_bgp_prefixes_accepted', 'Of these, those that the import policy took.', (peer) => peer.accepted)
  gauge('causeway_bgp_prefixes_advertised', 'Prefixes that the peer was told of.', (peer) => peer.advertised)
  registry.counterFrom(
    'causeway_bgp_session_flaps_total',
    'How often the BGP session was established and ended again.',
    async () => perPeer(await sessions(), ({ flaps }) => flaps),
  )
  registry.counterFrom(
    'causeway_bgp_faulty_updates_total',
    'UPDATEs with a fault that RFC 7606 handles, by peer.',
    async () => perPeer(await sessions(), ({ faults }) => faults?.updates ?? 0),
  )
  registry.counterFrom(
    'causeway_bgp_prefixes_treated_as_withdrawn_total',
    'Prefixes that were announced with a fault and treated as withdrawn (RFC 7606), by peer.',
    async () => perPeer(await sessions(), ({ faults }) => faults?.prefixes ?? 0),
  )
  registry.gauge('causeway_bgp_routes_learned', 'Prefixes that BGP has a way to, without the own ones.', () => [
    { labels: {}, value: learned() },
  ])
  registry.gauge(
    'causeway_bgp_routes_not_installed',
    'Of these, those that are not in the kernel; "causeway bgp routes --explain" says why.',
    () => [{ labels: {}, value: notInstalled() }],
  )
}
