// The schema of what a node's kernel has, read at one moment: what `causeway doctor` compares, what a support bundle holds, and what a trace
// without a kernel is predicted from. docs/facts.md says what is in it and what is left out.
import { array, boolean, exactOptional, nullable, number, object, picklist, record, string } from 'valibot'
import { about, type ValueOf } from '../value.ts'

const link = object({
  index: number(),
  name: string(),
  kind: about(string(), 'veth, bridge, vxlan …; empty for hardware and loopback'),
  mac: string(),
  mtuBytes: number(),
  isUp: boolean(),
  hasCarrier: about(boolean(), 'false: the device is up and nothing is at its other end'),
  peerIndex: exactOptional(about(number(), "of a veth: the index of its other end, in that end's namespace")),
  master: exactOptional(about(string(), 'the bridge that it is a port of')),
  hasNoArp: exactOptional(boolean()),
  vxlan: exactOptional(
    object({
      vni: number(),
      port: number(),
      isExternal: about(boolean(), 'routes give the tunnel ends'),
      local: exactOptional(string()),
    }),
  ),
  port: exactOptional(object({ isOpen: boolean(), isBlocked: boolean() })),
  offloads: exactOptional(
    about(
      record(string(), boolean()),
      'of devices of the underlay: those that can spoil packets, by their names of ethtool -k',
    ),
  ),
})

const address = object({ device: string(), addr: string(), prefixLength: number() })

const nextHop = object({
  device: exactOptional(string()),
  gateway: exactOptional(string()),
  weight: exactOptional(number()),
})

const route = object({
  dst: about(string(), 'a prefix'),
  table: number(),
  type: about(string(), 'unicast, local, blackhole …'),
  metric: number(),
  protocol: number(),
  src: exactOptional(about(string(), 'the address that packets of this namespace get')),
  mtuBytes: exactOptional(number()),
  nextHops: array(nextHop),
  encap: exactOptional(object({ vni: number(), src: exactOptional(string()), dst: string() })),
  isOurs: boolean(),
})

const rule = object({
  family: number(),
  priority: number(),
  text: about(string(), 'as `ip rule` writes it'),
  table: exactOptional(number()),
  action: about(picklist(['lookup', 'blackhole', 'prohibit', 'unreachable', 'goto', 'other']), 'what it does'),
  isInverted: boolean(),
  src: exactOptional(string()),
  dst: exactOptional(string()),
  iif: exactOptional(string()),
  oif: exactOptional(string()),
  mark: exactOptional(object({ value: number(), mask: number() })),
  isNarrow: about(boolean(), 'it asks for more than is told here, such as ports'),
})

const neighbour = object({
  device: string(),
  addr: string(),
  mac: exactOptional(string()),
  state: about(string(), 'reachable, stale, permanent, failed …, as `ip neigh` writes it'),
})

const bridgeEntry = object({
  device: string(),
  mac: string(),
  dst: exactOptional(about(string(), 'of a VXLAN device: the tunnel end')),
  isPermanent: boolean(),
})

/** A tc, tcx or XDP program at a device. */
const program = object({
  device: string(),
  hook: string(),
  id: number(),
  name: exactOptional(string()),
  isOurs: boolean(),
})

const listener = object({ protocol: picklist(['tcp', 'udp']), port: number(), addr: string() })

const namespace = object({
  pod: exactOptional(about(string(), "NAMESPACE/NAME; absent: the node's own namespace")),
  error: exactOptional(about(string(), 'why it could not be read, or not whole')),
  links: array(link),
  addresses: array(address),
  routes: array(route),
  rules: array(rule),
  neighbours: array(neighbour),
  bridgeEntries: array(bridgeEntry),
  sysctls: about(record(string(), string()), 'by path below /proc/sys, such as net/ipv4/ip_forward'),
  listeners: array(listener),
  checksumErrors: about(
    object({ tcp: number(), udp: number() }),
    'packets dropped for their checksum since the namespace was made (InCsumErrors)',
  ),
})

const conflist = object({
  file: string(),
  network: exactOptional(string()),
  plugins: about(array(string()), 'the types of its plugins, in order'),
  isOurs: boolean(),
})

export const nodeFacts = object({
  node: string(),
  nowMs: about(number(), "this node's clock when it began to read, ms since 1970"),
  tookMs: number(),
  kernel: object({
    release: string(),
    lacks: about(array(string()), 'what Causeway can use and this kernel does not have'),
  }),
  settings: about(record(string(), string()), 'of the agent, without those that hold secrets'),
  namespaces: about(array(namespace), "the node's first, then those of its pods"),
  programs: array(program),
  conflists: about(array(conflist), 'in the order in which the runtime reads its folder; the first one counts'),
  connections: about(
    nullable(object({ entries: number(), most: number() })),
    'of connection tracking, in the namespace of the node; null where it is not loaded',
  ),
  isCut: about(boolean(), 'there was more than is told here; `cut` says of what'),
  cut: array(string()),
})

export type NodeFacts = ValueOf<typeof nodeFacts>
export type NamespaceFacts = NodeFacts['namespaces'][number]
export type LinkFacts = NamespaceFacts['links'][number]
