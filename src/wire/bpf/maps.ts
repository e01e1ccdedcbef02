// The maps of the eBPF datapath: layouts, sizes and constants, the only source for the C header, the agent and the command line.
// docs/ebpf.md says what each map is for.
import { Struct } from './layout.ts'

/** Numbers of one enumeration of C: `CW_` plus the enumeration's and the member's name in capitals. */
export type Constants = Readonly<Record<string, number>>

export const configFlags = {
  /** Every packet goes to the stack, and the entry of its connection ends first: the programs are about to be removed. */
  draining: 1,
  /** Packets are compared with cw_watched. */
  watching: 2,
} as const

export const podFlags = {
  /** The pod has the bridge datapath: packets to it go over the bridge. */
  bridged: 1,
  /** What the pod receives is limited by a queue of its host device, which redirect_peer would pass by. */
  limited: 2,
} as const

export const nodeFlags = {
  /** Packets from and to the addresses go to the stack, and the entries of their connections end first: the way is about to go. */
  draining: 1,
} as const

/** How packets leave for the addresses of a prefix. `none`: by the stack. `local`: they are this node's pods. */
export const ways = { none: 0, local: 1, native: 2, tunnel4: 3, tunnel6: 4 } as const

export const hooks = { from_pod: 1, to_pod: 2, from_underlay: 3, from_tunnel: 4 } as const

/** What a program did with a packet. */
export const verdicts = { stack: 0, carried: 1, dropped: 2 } as const

/** The counters of a pod, by how its packets went. */
export const trafficKinds = {
  from_pod_stack: 0,
  from_pod_local: 1,
  from_pod_native: 2,
  from_pod_tunnel: 3,
  to_pod_stack: 4,
  to_pod_local: 5,
  to_pod_native: 6,
  to_pod_tunnel: 7,
} as const

/** What a class says of a connection's first packet; the rest is the stack's to say. */
export const policyVerdicts = { allowed: 0, denied: 1 } as const

export const trafficKindsPerPod = 8
/** A bridge has no more ports than 1,023. */
export const maxSlots = 1024

/** The largest part of a packet that an event holds. */
const capturedBytes = 192

/** A power of two. */
export const denialBudgets = 1024

export const limits = {
  traffic_kinds: trafficKindsPerPod,
  max_slots: maxSlots,
  captured: capturedBytes,
  multicast_per_second: 1000,
  /** Denied packets of which a processor tells the agent: of what the same rule denies, and of all. */
  denials_per_second: 20,
  all_denials_per_second: 100,
  /** Rules share budgets by their numbers. */
  denial_budgets: denialBudgets,
} as const satisfies Constants

export const configStruct = new Struct('cw_config', {
  flags: 'u32',
  bridge_device: 'u32',
  tunnel_device: 'u32',
  /** VXLAN network identifier, 24 bits. */
  vni: 'u32',
  /** nf_conntrack_tcp_timeout_established and nf_conntrack_udp_timeout_stream. */
  tcp_timeout_s: 'u32',
  udp_timeout_s: 'u32',
  vxlan_port: 'be16',
  /** Ticks per second of the kernel's jiffies; 0 while not known: entries of connection tracking are not kept alive then. */
  jiffies_hz: 'u16',
  bridge_mac: { bytes: 6 },
  tunnel_mac: { bytes: 6 },
})

export const podStruct = new Struct('cw_pod', {
  /** Index of the host end of its veth. */
  device: 'u32',
  slot: 'u32',
  mtu: 'u16',
  flags: 'u16',
  mac: { bytes: 6 },
})

export const portStruct = new Struct('cw_port', { slot: 'u32', flags: 'u16', mac: { bytes: 6 } })

export const nodeStruct = new Struct('cw_node', {
  owner: 'u64',
  /** The tunnel's ends; an IPv4 address is written as ::ffff:a.b.c.d. */
  tunnel_src: { bytes: 16 },
  tunnel_dst: { bytes: 16 },
  /** The largest packet of a pod on this way, without the tunnel's headers; 0: the device's. */
  mtu: 'u16',
  way: 'u8',
  flags: 'u8',
  /** Where the inner frame goes to: the MAC of the VTEP there. */
  vtep_mac: { bytes: 6 },
})

export const prefix4Struct = new Struct('cw_prefix4', { length: 'u32', addr: { bytes: 4 } })
export const prefix6Struct = new Struct('cw_prefix6', { length: 'u32', addr: { bytes: 16 } })
export const addr4Struct = new Struct('cw_addr4', { addr: { bytes: 4 } })
/** An IPv4 address is written as ::ffff:a.b.c.d. */
export const addr6Struct = new Struct('cw_addr6', { addr: { bytes: 16 } })
export const indexStruct = new Struct('cw_index', { index: 'u32' })
export const ownerStruct = new Struct('cw_owner', { owner: 'u64' })
export const countStruct = new Struct('cw_count', { packets: 'u64', bytes: 'u64' })
export const budgetStruct = new Struct('cw_budget', { second: 'u64', packets: 'u64' })
export const dropKeyStruct = new Struct('cw_drop_key', { device: 'u32', hook: 'u8', reason: 'u8', reserved: 'u16' })
export const pairStruct = new Struct('cw_pair', { src: { bytes: 16 }, dst: { bytes: 16 } })
export const watchStruct = new Struct('cw_watch', { id: 'u32' })
export const eventStruct = new Struct('cw_event', {
  /** CLOCK_MONOTONIC. */
  time_ns: 'u64',
  watch: 'u32',
  device: 'u32',
  /** Of the whole packet, with its Ethernet header. */
  length: 'u32',
  captured: 'u32',
  hook: 'u8',
  verdict: 'u8',
  /** Of a drop; 0 else. */
  reason: 'u8',
  /** Of a drop by a policy: whether the receiver's did it, and what of them; 0 else. */
  is_ingress: 'u8',
  rule: 'u32',
  bytes: { bytes: capturedBytes },
})
/** The addresses of a kind are in the same sets of peers; 0: in none, as an address without an entry. */
export const peerStruct = new Struct('cw_peer', { kind: 'u32' })
/** Classes of the pod with a slot; 0: nothing of its packets is denied here. */
export const policedStruct = new Struct('cw_policed_pod', { egress: 'u32', ingress: 'u32' })
/** `length` counts the bits after it: all of class and kind, and as much of protocol and port as the verdict is about. */
export const verdictKeyStruct = new Struct('cw_verdict_key', {
  length: 'u32',
  class: 'u32',
  kind: 'u32',
  protocol: 'u8',
  reserved: 'u8',
  port: 'be16',
})
/** `rule`: of a denial, a hash over what denies. */
export const verdictStruct = new Struct('cw_policy_verdict', { verdict: 'u32', rule: 'u32' })
export const deniedKeyStruct = new Struct('cw_denied_key', { device: 'u32', rule: 'u32' })

export type MapType = 'array' | 'hash' | 'lpm_trie' | 'lru_hash' | 'percpu_array' | 'percpu_hash' | 'ringbuf'

export type MapLayout = {
  readonly type: MapType
  /** A ring buffer has neither key nor value. */
  readonly key?: Struct
  readonly value?: Struct
  /** Of a ring buffer: its size in bytes. */
  readonly maxEntries: number
}

const nodesMax = 131_072
export const peersMax = 131_072
export const verdictsMax = 65_536

export const mapLayouts = {
  cw_config: { type: 'array', key: indexStruct, value: configStruct, maxEntries: 1 },
  cw_pods4: { type: 'hash', key: addr4Struct, value: podStruct, maxEntries: 4096 },
  cw_pods6: { type: 'hash', key: addr6Struct, value: podStruct, maxEntries: 4096 },
  cw_ports: { type: 'hash', key: indexStruct, value: portStruct, maxEntries: 2048 },
  cw_nodes4: { type: 'lpm_trie', key: prefix4Struct, value: nodeStruct, maxEntries: nodesMax },
  cw_nodes6: { type: 'lpm_trie', key: prefix6Struct, value: nodeStruct, maxEntries: nodesMax },
  cw_ends: { type: 'hash', key: addr6Struct, value: ownerStruct, maxEntries: nodesMax },
  cw_traffic: {
    type: 'percpu_array',
    key: indexStruct,
    value: countStruct,
    maxEntries: maxSlots * trafficKindsPerPod,
  },
  cw_budgets: { type: 'percpu_array', key: indexStruct, value: budgetStruct, maxEntries: maxSlots },
  cw_drops: { type: 'percpu_hash', key: dropKeyStruct, value: countStruct, maxEntries: 16_384 },
  cw_policed: { type: 'array', key: indexStruct, value: policedStruct, maxEntries: maxSlots },
  cw_peers4: { type: 'lpm_trie', key: prefix4Struct, value: peerStruct, maxEntries: peersMax },
  cw_peers6: { type: 'lpm_trie', key: prefix6Struct, value: peerStruct, maxEntries: peersMax },
  cw_verdicts: { type: 'lpm_trie', key: verdictKeyStruct, value: verdictStruct, maxEntries: verdictsMax },
  cw_denied: { type: 'percpu_hash', key: deniedKeyStruct, value: countStruct, maxEntries: 16_384 },
  // the last one is of all
  cw_told: { type: 'percpu_array', key: indexStruct, value: budgetStruct, maxEntries: denialBudgets + 1 },
  cw_denials: { type: 'ringbuf', maxEntries: 65_536 },
  cw_watched: { type: 'hash', key: pairStruct, value: watchStruct, maxEntries: 256 },
  cw_events: { type: 'ringbuf', maxEntries: 262_144 },
} as const satisfies Readonly<Record<string, MapLayout>>

export type MapName = keyof typeof mapLayouts

/** Each program with the hook that it is for. */
export const programNames = ['cw_from_pod', 'cw_to_pod', 'cw_from_underlay', 'cw_from_tunnel'] as const
export type ProgramName = (typeof programNames)[number]
