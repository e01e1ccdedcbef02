// What the programs of a trace and the agent share: layouts, sizes and constants, the only source for their C header. Pure.
import { Struct } from './layout.ts'
import { type Constants, indexStruct, type MapLayout } from './maps.ts'
import { type TracePlace, type TraceRole } from './trace-words.ts'

/** Numbers of places and roles; 0 is none. */
export const placeNumbers = {
  receive: 1,
  queue: 2,
  transmit: 3,
  drop: 4,
  read: 5,
} as const satisfies Record<TracePlace, number>

export const roleNumbers = {
  probe: 1,
  answer: 2,
  'probe-error': 3,
  'answer-error': 4,
} as const satisfies Record<TraceRole, number>

export const sightingFlags = {
  /** The bytes begin with the IP header. */
  starts_at_network: 1,
  /** The checksum of the transport header is to be completed by whoever sends the packet. */
  partial_checksum: 2,
} as const satisfies Constants

export const traceLimits = {
  captured: 256,
  /** An interface's name, with its final zero (IFNAMSIZ). */
  device_name: 16,
  /** Text of the kernel's, with its final zero. */
  text: 64,
  /** Sightings of one probe. */
  sightings: 1000,
} as const satisfies Constants

/**
 * `icmp`, `udp`, `tcp`: 1 where a probe of that protocol is followed. `cookies`: a bit for the first byte of each cookie, modulo 64, so that
 * most other packets need not be looked up.
 */
export const traceConfigStruct = new Struct('cw_trace_config', {
  cookies: 'u64',
  vxlan_port: 'be16',
  icmp: 'u8',
  udp: 'u8',
  tcp: 'u8',
  reserved: { bytes: 3 },
})

/** `token`: the eight bytes of a cookie, or a sequence number of TCP. `protocol`: IPPROTO_ICMP for ICMPv6 too. */
export const probeKeyStruct = new Struct('cw_probe_key', {
  token: { bytes: 8 },
  protocol: 'u8',
  reserved: { bytes: 7 },
})

export const probeStruct = new Struct('cw_probe', {
  told: 'u64',
  /** There was no room for them, or there were too many. */
  lost: 'u64',
  id: 'u32',
  reserved: 'u32',
})

/** Of ICMP the ports are the echo's identifier and sequence number. */
export const traceTupleStruct = new Struct('cw_trace_tuple', {
  src: { bytes: 16 },
  dst: { bytes: 16 },
  sport: 'be16',
  dport: 'be16',
  protocol: 'u8',
  reserved: { bytes: 3 },
})

export const learnedStruct = new Struct('cw_learned', {
  token: { bytes: 8 },
  role: 'u8',
  reserved: { bytes: 7 },
})

/** A bit for each pair of ports that was learned. */
export const portsStruct = new Struct('cw_ports', { mask: 'u64' })

export const netnsStruct = new Struct('cw_netns', { inode: 'u32' })

export const sightingStruct = new Struct('cw_sighting', {
  /** CLOCK_MONOTONIC. */
  time_ns: 'u64',
  /** The address of the kernel's struct, which tells packets apart. */
  skb: 'u64',
  probe: 'u32',
  /** The inode of the namespace; 0: the packet does not say where it is. */
  netns: 'u32',
  /** The device's index; 0: none. */
  device: 'u32',
  length: 'u32',
  captured: 'u32',
  mark: 'u32',
  place: 'u8',
  role: 'u8',
  flags: 'u8',
  reserved: { bytes: 5 },
  device_name: { bytes: traceLimits.device_name },
  reason: { bytes: traceLimits.text },
  location: { bytes: traceLimits.text },
  bytes: { bytes: traceLimits.captured },
})

export const traceMapLayouts = {
  cw_trace_settings: { type: 'array', key: indexStruct, value: traceConfigStruct, maxEntries: 1 },
  cw_probes: { type: 'hash', key: probeKeyStruct, value: probeStruct, maxEntries: 64 },
  cw_learned_tuples: { type: 'lru_hash', key: traceTupleStruct, value: learnedStruct, maxEntries: 1024 },
  cw_learned_ports: { type: 'array', key: indexStruct, value: portsStruct, maxEntries: 1 },
  cw_namespaces: { type: 'hash', key: netnsStruct, value: indexStruct, maxEntries: 4096 },
  cw_sightings: { type: 'ringbuf', maxEntries: 524_288 },
} as const satisfies Readonly<Record<string, MapLayout>>

export type TraceMapName = keyof typeof traceMapLayouts

/** Each program with the tracepoint that it is for. */
export const tracePrograms = ['cw_on_receive', 'cw_on_queue', 'cw_on_transmit', 'cw_on_drop', 'cw_on_read'] as const
