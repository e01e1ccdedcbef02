// The schema of what a node's kernel has, read at one moment: what `causeway doctor` compares, what a support bundle holds, and what a trace
// without a kernel is predicted from. docs/facts.md says what is in it and what is left out.
import { array, boolean, exactOptional, number, object, picklist, record, string } from 'valibot'
import { anyRouteTypes, nftFamilyNames } from '#/model/facts.ts'
import { about, moment, type ValueOf } from '../value.ts'

export const factsRequest = object({
  firewalls: exactOptional(
    about(
      picklist(['yes', 'no']),
      'yes: with the rules of firewalls, the elements of their sets, and the entries of maps of programs, which may be much',
    ),
  ),
})

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
  isEthernet: about(boolean(), 'its packets have Ethernet headers'),
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
  isOnlink: exactOptional(boolean()),
  isDead: exactOptional(about(boolean(), 'the kernel does not take it now')),
})

const route = object({
  dst: about(string(), 'a prefix'),
  table: number(),
  type: about(picklist(anyRouteTypes), 'as `ip route` writes it'),
  metric: number(),
  protocol: number(),
  from: exactOptional(about(string(), 'for packets from this prefix alone')),
  tos: exactOptional(about(number(), 'for packets with this TOS alone')),
  preference: exactOptional(about(picklist(['low', 'medium', 'high']), 'of equal routes of IPv6, the best counts')),
  src: exactOptional(about(string(), 'the address that packets of this namespace get')),
  mtuBytes: exactOptional(number()),
  nextHops: array(nextHop),
  encap: exactOptional(object({ vni: number(), src: exactOptional(string()), dst: string() })),
  isOurs: boolean(),
})

const portRange = object({ first: number(), last: number() })

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
  ipProtocol: exactOptional(number()),
  sourcePorts: exactOptional(portRange),
  destinationPorts: exactOptional(portRange),
  goto: exactOptional(about(number(), 'the priority of the rule with which the lookup goes on')),
  suppressLength: exactOptional(about(number(), 'routes with prefixes as short as this, or shorter, do not count')),
  isNarrow: about(boolean(), 'it asks for more than is told here, such as a user or a DSCP'),
})

const neighbour = object({
  device: string(),
  addr: string(),
  mac: exactOptional(string()),
  state: about(string(), 'reachable, stale, permanent, failed …, as `ip neigh` writes it'),
})

const bridgeEntry = object({
  device: about(string(), 'by which frames to the MAC leave'),
  mac: string(),
  bridge: exactOptional(about(string(), "whose entry it is; absent: the device's own, as VXLAN devices have them")),
  dst: exactOptional(about(string(), 'of a VXLAN device: the tunnel end')),
  vni: exactOptional(number()),
  vlan: exactOptional(number()),
  isPermanent: about(boolean(), "somebody has set it, or it is a port's or the bridge's own"),
  origin: picklist(['own', 'static', 'learned']),
})

/** A tc, tcx or XDP program at a device. */
const program = object({
  device: string(),
  hook: about(picklist(['ingress', 'egress', 'xdp']), 'ingress and egress: of tc or tcx'),
  id: exactOptional(about(number(), 'absent: a filter that is no program')),
  name: exactOptional(about(string(), 'of the program or the filter')),
  isOurs: boolean(),
})

/** A chain of nftables or of legacy iptables. */
const chain = object({
  tool: picklist(['nft', 'legacy']),
  family: about(picklist(nftFamilyNames), 'of legacy iptables: ip or ip6'),
  table: string(),
  chain: string(),
  base: exactOptional(
    about(
      object({
        hook: string(),
        priority: number(),
        isNat: boolean(),
        dropsByPolicy: boolean(),
        devices: exactOptional(array(string())),
      }),
      'of a chain that packets enter by themselves',
    ),
  ),
  rules: exactOptional(
    about(
      array(
        object({
          handle: about(string(), '0 in legacy iptables'),
          comment: exactOptional(string()),
          expressions: array(
            object({ name: string(), data: about(string(), 'the attributes of netlink, in hexadecimal') }),
          ),
        }),
      ),
      'absent: not asked for, or too many',
    ),
  ),
})

const set = object({
  family: picklist(nftFamilyNames),
  table: string(),
  set: string(),
  elements: exactOptional(
    about(array(string()), 'the attributes of netlink of each, in hexadecimal; absent: too many'),
  ),
})

const listener = object({
  protocol: picklist(['tcp', 'udp']),
  port: number(),
  addr: about(
    string(),
    '0.0.0.0 or ::: each address; a socket of IPv6 takes packets of IPv4 as well unless it says not',
  ),
})

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
  chains: about(array(chain), 'of a pod only where rules are asked for'),
  sets: exactOptional(about(array(set), 'those that rules name')),
  checksumErrors: about(
    object({ tcp: number(), udp: number() }),
    'packets dropped for their checksum since the namespace was made (InCsumErrors)',
  ),
})

const programMaps = object({
  layout: about(string(), 'a hash over the layouts: programs with another one read them otherwise'),
  maps: array(
    object({
      map: about(string(), 'its name, such as cw_pods4'),
      entries: about(array(string()), 'key and value of each in hexadecimal, with a space between them'),
      isCut: exactOptional(about(boolean(), 'it has more')),
    }),
  ),
  denials: about(record(string(), string()), 'what denies packets, by its number in cw_verdicts'),
})

const conflist = object({
  file: string(),
  network: exactOptional(string()),
  plugins: about(array(string()), 'the types of its plugins, in order'),
  isOurs: boolean(),
})

export const nodeFacts = object({
  node: string(),
  nowMs: about(moment(), "this node's clock when it began to read, ms since 1970"),
  tookMs: number(),
  kernel: object({
    release: string(),
    lacks: about(array(string()), 'what Causeway can use and this kernel does not have'),
  }),
  settings: about(record(string(), string()), 'of the agent, by their variables'),
  namespaces: about(array(namespace), "the node's first, then those of its pods"),
  programs: array(program),
  programMaps: exactOptional(
    about(programMaps, 'of the eBPF datapath, what decides about packets; only where rules of firewalls are asked for'),
  ),
  conflists: about(array(conflist), 'in the order in which the runtime reads its folder; the first one counts'),
  connections: exactOptional(
    about(
      object({ entries: number(), most: number() }),
      'of connection tracking, in the namespace of the node; absent where it is not loaded',
    ),
  ),
  isCut: about(boolean(), 'there was more than is told here; `cut` says of what'),
  cut: array(string()),
})

export type NodeFacts = ValueOf<typeof nodeFacts>
export type NamespaceFacts = NodeFacts['namespaces'][number]
export type ProgramMapsFacts = NonNullable<NodeFacts['programMaps']>
export type ChainFacts = NamespaceFacts['chains'][number]
export type RouteFacts = NamespaceFacts['routes'][number]
export type RuleFacts = NamespaceFacts['rules'][number]
export type LinkFacts = NamespaceFacts['links'][number]
