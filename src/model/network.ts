// A node's network as values: the facts that planning starts from, and the kernel state that a plan asks for. Devices are named, never
// numbered, because the kernel chooses the index and changes it when a device is made again.
import { Addr, type Family, type Prefix } from '#/lib/addr.ts'
import { type Tbf } from '#/wire/netlink/qdisc.ts'
import { type NftTable } from '#/wire/nftables/ruleset.ts'
import { type BpfDelta, type DesiredBpf } from './bpf.ts'
import { type DatapathName } from './datapath.ts'
import { blackholeMetric, vxlanName } from './names.ts'
import { type Routing, type RoutingState } from './routing.ts'

/** Signs of life of a node. They decide which of two nodes that claim the same has it (src/plan/claims.ts). */
export type NodeLife = {
  /** `ready`: its kubelet is Ready. `agent`: it is not, but an agent of Causeway has run on the node. */
  readonly sign: 'ready' | 'agent' | 'none'
  /** When the Ready condition of a node that is not Ready last changed; '' when unknown. RFC 3339 in UTC, which sorts as text. */
  readonly readyChanged: string
  /** Its kubelet has not been heard of for a while: the machine may be off. */
  readonly isSilent?: true
  /** When the Node object was created; '' when unknown. RFC 3339 in UTC. */
  readonly created: string
}

/** One node of the cluster, as its Node object describes it. */
export type NodeState = {
  readonly name: string
  readonly podCIDRs: readonly Prefix[]
  /** Those of `podCIDRs` that the annotation of its Node object added to what the cluster assigned. */
  readonly extraCIDRs?: readonly Prefix[]
  /** Pod CIDRs that the node has lost, of which some of its pods still have addresses: the agent of that node tells them. */
  readonly formerCIDRs?: readonly Prefix[]
  /** Why no agent of Causeway can run on the node, such as another operating system: it has no tunnel end then. */
  readonly lacksAgent?: string
  /** Absent: nothing is known. */
  readonly life?: NodeLife
  /** The ends of the node's tunnel: its InternalIP addresses in the order of the object, after those that flannel published. */
  readonly addrs: readonly Addr[]
  /** The MACs of the node's VTEPs, by the family of the pods, if flannel's annotations have any (model/flannel.ts). */
  readonly vtepMacs?: { readonly [F in Family]?: string }
  /** Set only for this agent's own node: the routing that its Node object demands. */
  readonly routing?: Routing
  /** Set only for this agent's own node: the datapath that its Node object demands. */
  readonly datapath?: DatapathName
  /** Set for other nodes: the routing that they announce; absent: plain VXLAN. */
  readonly routingState?: RoutingState
  /** No sign on the Node object says that its network has ever been set up. */
  readonly isStarting?: boolean
}

/**
 * An address of a pod and the pod CIDR that it is from. The CIDR gives the pod's gateway and prefix length for as long as the pod lives.
 */
export type PodAddress = { readonly addr: Addr; readonly cidr: Prefix }

/** A port of this node that leads to a pod, in one family. */
export type HostPort = {
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  readonly port: number
  /** The node's address that the port is of; absent: all addresses of the node. */
  readonly hostAddr?: Addr
  /** The pod's address and port. */
  readonly to: Addr
  readonly toPort: number
}

/** The host end of a pod's veth. */
export type PortState = {
  readonly name: string
  readonly pod: string
  readonly datapath: DatapathName
  /** The pod CIDRs that its addresses are from: a pod keeps them, and its gateway, when the node is given other CIDRs. */
  readonly podCIDRs: readonly Prefix[]
  readonly addrs: readonly Addr[]
  /** The MAC of the pod's end. */
  readonly mac: string
  /** The limit on what the pod receives. */
  readonly ingress?: Tbf
  /** Absent: none. */
  readonly hostPorts?: readonly HostPort[]
}

export type NetworkSettings = {
  /** Contain all pod CIDRs of the cluster; traffic from pods to any other destination is masqueraded. */
  readonly clusterCIDRs: readonly Prefix[]
  readonly vni: number
  readonly vxlanPort: number
  /** The underlay's MTU as configured, for a network that carries less than its devices announce. */
  readonly underlayMtuBytes?: number | undefined
  /** Whether to let pods' packets pass forward chains of other programs that drop or reject by default. */
  readonly opensForwardChains: boolean
  /** The routing to use when neither the cluster nor the node demands another. */
  readonly routing: Routing
}

/** The least MTU of IPv6 (RFC 8200 section 5). On a device with less the kernel has none (addrconf_notify of net/ipv6/addrconf.c). */
export const minimumMtuV6Bytes = 1280

/** The underlay's MTU by family, for the families of which this node has an address. */
export type UnderlayMtu = { readonly [F in Family]?: number }

/** How packets leave for the addresses of a prefix, by a route that is not Causeway's. */
export type NodeWay = {
  readonly prefix: Prefix
  readonly device: string
  /** The largest packet that the way carries, as far as this node knows: of the device, or less where the route says so. */
  readonly mtuBytes: number
  /** `link`: no router is between; `router`: one is. */
  readonly kind: 'link' | 'router'
  /** Whether packets have an address of the Node object as their source: only such a link is shared with other nodes. */
  readonly isFromNode: boolean
  /** Whether the kernel takes a next hop behind this route only with the flag onlink, because the route does not have scope link. */
  readonly needsOnlink?: true
}

/** A subnet that a device of this node is on. */
export type ConnectedSubnet = {
  readonly device: string
  readonly addr: Addr
  readonly prefix: Prefix
  /** Whether `addr` is one of the Node object's addresses, which other nodes know. */
  readonly isNodeAddress: boolean
}

/** `isOptional`: where the kernel has no such sysctl, nothing is to be done. */
export type DesiredSysctl = { readonly path: string; readonly value: string; readonly isOptional?: boolean }
export type DesiredBridge = { readonly kind: 'bridge'; readonly name: string; readonly mac: string }
export type DesiredVxlan = {
  readonly kind: 'vxlan'
  readonly name: string
  readonly mac: string
  readonly mtuBytes: number
  readonly port: number
}
export type DesiredLink = DesiredBridge | DesiredVxlan
export type DesiredPort = Pick<PortState, 'name' | 'pod' | 'datapath' | 'ingress'>
export type DesiredAddress = { readonly device: string; readonly addr: Addr; readonly prefixLength: number }
export type DesiredNeighbour = { readonly device: string; readonly addr: Addr; readonly mac: string }
/** A route through the tunnel to the node that owns `dst`. */
export type OverlayRoute = {
  readonly kind: 'overlay'
  readonly dst: Prefix
  readonly metric: number
  readonly device: string
  readonly gateway: Addr
  readonly preferredSource?: Addr
  readonly mtuBytes: number
  readonly encap: { readonly vni: number; readonly src: Addr; readonly dst: Addr }
  readonly node: string
}

export type DesiredHop = {
  readonly device: string
  readonly gateway: Addr
  /** The kernel is not to judge whether the gateway is on the device's link. */
  readonly onlink?: true
}

/** How the kernel reaches an address, by its own routes and those of others. */
export type KernelWay =
  /** Each hop is the address itself where it is on a link, else a router. */
  | { readonly kind: 'reached'; readonly hops: readonly DesiredHop[] }
  /** `why` completes the sentence "it is not reached, because". */
  | { readonly kind: 'not reached'; readonly why: string }

/** A route to `dst` without encapsulation: one that BGP learned, or straight to the node. */
export type NativeRoute = {
  readonly kind: 'native'
  readonly dst: Prefix
  readonly metric: number
  readonly origin: 'bgp' | 'direct'
  /** Several next hops are equal paths. The gateway of an IPv4 route may be an IPv6 address. */
  readonly nextHops: readonly DesiredHop[]
  readonly preferredSource?: Addr
  /** The node that owns `dst`; absent when no node does. */
  readonly node?: string
}

/** A route that drops packets for which no better route exists. */
export type BlackholeRoute = { readonly kind: 'blackhole'; readonly dst: Prefix; readonly metric: number }

export type DesiredRoute = OverlayRoute | NativeRoute | BlackholeRoute

/** The packets of this node's pods that firewalls of others must let pass, for the check whether they do. */
export type NeededPassage = {
  /** The devices through which pods' packets enter the node's own network stack. */
  readonly podDevices: readonly string[]
  /** The CIDRs of this node's pods, and those of all pods. */
  readonly podCIDRs: readonly Prefix[]
  readonly clusterCIDRs: readonly Prefix[]
  /** Whether packets to any other node leave without encapsulation, or would where there is no tunnel. */
  readonly isNative: boolean
  /** The devices by which packets leave for other nodes. */
  readonly underlayDevices: readonly string[]
  /** Set when packets to any other node go through the tunnel, or will to the first that comes. `ends` are the other nodes' addresses. */
  readonly tunnel?: { readonly device: string; readonly port: number; readonly ends: readonly Addr[] }
}

/** All kernel state of one node that is Causeway's. An empty value asks for a node without any. */
export type DesiredNetwork = {
  readonly sysctls: readonly DesiredSysctl[]
  readonly links: readonly DesiredLink[]
  readonly ports: readonly DesiredPort[]
  readonly addresses: readonly DesiredAddress[]
  readonly neighbours: readonly DesiredNeighbour[]
  readonly routes: readonly DesiredRoute[]
  readonly tables: readonly NftTable[]
  /** Devices whose packets are to pass forward chains of other programs that drop or reject by default. */
  readonly forwardFor: readonly string[]
  /** Absent: nothing needs to pass. */
  readonly passage?: NeededPassage
  /** What the eBPF datapath's programs have to know; absent where the node does not use them. */
  readonly bpf?: DesiredBpf
}

export const emptyNetwork: DesiredNetwork = {
  sysctls: [],
  links: [],
  ports: [],
  addresses: [],
  neighbours: [],
  routes: [],
  tables: [],
  forwardFor: [],
}

/**
 * The key of an address. It names the device only for the VXLAN device: nearly all other addresses are pods' gateways, which the address
 * alone identifies.
 */
export const addressKey = ({ device, addr, prefixLength }: DesiredAddress): string =>
  `${addr}/${prefixLength}${device === vxlanName ? ` dev ${device}` : ''}`
/** The key of a route to a prefix, given as text. A blackhole stands behind other routes, also to its own prefix, and has its own key. */
export const routeKeyAt = (prefix: string, metric: number): string =>
  metric === blackholeMetric ? `blackhole ${prefix}` : prefix
export const routeKey = ({ dst, metric }: DesiredRoute): string => routeKeyAt(String(dst), metric)
export const neighbourKey = ({ addr, device }: Omit<DesiredNeighbour, 'mac'>): string => `${addr} dev ${device}`
export const addrOfNeighbourKey = (key: string): Addr => Addr.parse(key.split(' ')[0]!)

/** A tunnel end of another node that is to be added or removed. */
export type TunnelEndChange = { readonly addr: Addr; readonly isWanted: boolean }

/** The changes that a change of other nodes causes, by the key of the kernel object; undefined marks an object to remove. */
export type NetworkDelta = {
  readonly routes: ReadonlyMap<string, DesiredRoute | undefined>
  readonly neighbours: ReadonlyMap<string, DesiredNeighbour | undefined>
  readonly tunnelEnds: ReadonlyMap<string, TunnelEndChange>
  /** Made when it is asked for, since only the eBPF datapath does. */
  readonly bpf?: BpfDelta
}
