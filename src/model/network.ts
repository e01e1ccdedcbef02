// What a node's network consists of: the facts that planning starts from, and the kernel state that it asks for.
// Devices are named, never numbered: an index is the kernel's business and changes when a device is made again.
import { Addr, type Family, type Prefix } from '#/lib/addr.ts'
import { type NftTable } from '#/wire/nftables/ruleset.ts'
import { type DatapathName } from './datapath.ts'
import { vxlanName } from './names.ts'
import { type Routing, type RoutingState } from './routing.ts'

/** One node of the cluster as its Node object tells it. */
export type NodeState = {
  readonly name: string
  readonly podCIDRs: readonly Prefix[]
  /** Where its tunnel ends: InternalIP addresses in the order of the object, after those that flannel published. */
  readonly addrs: readonly Addr[]
  /** The MACs of its VTEPs, by the family of the pods, where flannel's annotations tell some (model/flannel.ts). */
  readonly vtepMacs?: { readonly [F in Family]?: string }
  /** Of this node alone: what its own Node object demands. */
  readonly routing?: Routing
  /** Of other nodes; absent: plain VXLAN. */
  readonly routingState?: RoutingState
  /** Nothing tells that its network has ever been set up. */
  readonly isStarting?: boolean
}

/** An address of a pod and the pod CIDR it is from, which tells its gateway and prefix length for as long as the pod lives. */
export type PodAddress = { readonly addr: Addr; readonly cidr: Prefix }

/** The host's end of a pod's veth. */
export type PortState = {
  readonly name: string
  readonly pod: string
  readonly datapath: DatapathName
  /** Those that its addresses are from: a pod keeps them, and its gateway, when the node is given others. */
  readonly podCIDRs: readonly Prefix[]
}

export type NetworkSettings = {
  /** All pod CIDRs of the cluster lie in these; traffic from pods to elsewhere is masqueraded. */
  readonly clusterCIDRs: readonly Prefix[]
  readonly vni: number
  readonly vxlanPort: number
  /** What the underlay carries, where its devices promise more than the network between them keeps. */
  readonly underlayMtuBytes?: number | undefined
  /** Whether others' forward chains that drop by policy are told to let pods' packets pass. */
  readonly opensForwardChains: boolean
  /** Where neither the cluster nor the node says another one. */
  readonly routing: Routing
}

/** The underlay's MTU by family, as far as this node has an address of that family. */
export type UnderlayMtu = { readonly [F in Family]?: number }

/** A subnet that a device of this node is on. */
export type ConnectedSubnet = {
  readonly device: string
  readonly addr: Addr
  readonly prefix: Prefix
  /** Whether `addr` is what the Node object tells: other nodes know it. */
  readonly isNodeAddress: boolean
}

export type DesiredSysctl = { readonly path: string; readonly value: string }
export type DesiredBridge = { readonly kind: 'bridge'; readonly name: string; readonly mac: string }
export type DesiredVxlan = {
  readonly kind: 'vxlan'
  readonly name: string
  readonly mac: string
  readonly mtuBytes: number
  readonly port: number
}
export type DesiredLink = DesiredBridge | DesiredVxlan
export type DesiredPort = { readonly name: string; readonly pod: string; readonly datapath: DatapathName }
export type DesiredAddress = { readonly device: string; readonly addr: Addr; readonly prefixLength: number }
export type DesiredNeighbour = { readonly device: string; readonly addr: Addr; readonly mac: string }
/** Through the tunnel to the node that owns `dst`. */
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

export type DesiredHop = { readonly device: string; readonly gateway: Addr }

/** To `dst` as the packets are: what BGP says, or straight to the node. */
export type NativeRoute = {
  readonly kind: 'native'
  readonly dst: Prefix
  readonly metric: number
  readonly origin: 'bgp' | 'direct'
  /** Several are equal paths. The gateway of an IPv4 route may be an IPv6 address. */
  readonly nextHops: readonly DesiredHop[]
  readonly preferredSource?: Addr
  /** The node that owns `dst`; absent: none does. */
  readonly node?: string
}

/** Ends what nothing better leads on. */
export type BlackholeRoute = { readonly kind: 'blackhole'; readonly dst: Prefix; readonly metric: number }

export type DesiredRoute = OverlayRoute | NativeRoute | BlackholeRoute

/** All kernel state of one node that is ours. An empty one asks for a node without us. */
export type DesiredNetwork = {
  readonly sysctls: readonly DesiredSysctl[]
  readonly links: readonly DesiredLink[]
  readonly ports: readonly DesiredPort[]
  readonly addresses: readonly DesiredAddress[]
  readonly neighbours: readonly DesiredNeighbour[]
  readonly routes: readonly DesiredRoute[]
  readonly tables: readonly NftTable[]
  /** Devices for whose packets others' forward chains must let pass what they would drop by policy. */
  readonly forwardFor: readonly string[]
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

/** Nearly all addresses are gateways of pods, of which the address alone says which is meant. */
export const addressKey = ({ device, addr, prefixLength }: DesiredAddress): string =>
  `${addr}/${prefixLength}${device === vxlanName ? ` dev ${device}` : ''}`
export const routeKey = ({ dst }: DesiredRoute): string => String(dst)
export const neighbourKey = ({ addr, device }: Omit<DesiredNeighbour, 'mac'>): string => `${addr} dev ${device}`
export const addrOfNeighbourKey = (key: string): Addr => Addr.parse(key.split(' ')[0]!)

/** Where the tunnel of some other node ends, and whether it is still one. */
export type TunnelEndChange = { readonly addr: Addr; readonly isWanted: boolean }

/** What a change of other nodes makes different, by the key of the kernel object; undefined is what is no longer wanted. */
export type NetworkDelta = {
  readonly routes: ReadonlyMap<string, DesiredRoute | undefined>
  readonly neighbours: ReadonlyMap<string, DesiredNeighbour | undefined>
  readonly tunnelEnds: ReadonlyMap<string, TunnelEndChange>
}
