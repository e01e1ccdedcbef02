// What a prediction asks of the kernel of one network namespace. An agent answers from its kernel (src/agent/report/predict), a support bundle
// from what was told of one (src/facts).
import { type Addr } from '#/lib/addr.ts'
import { type BaseChain } from '#/obstacles/firewall/inspect.ts'
import { type NeighbourState } from '#/wire/netlink/neigh.ts'
import { type Route } from '#/wire/netlink/route.ts'
import { type WayAnswer, type WayLookup } from '#/wire/netlink/route-lookup.ts'
import { type Rule } from '#/wire/netlink/rule.ts'

export type Device = { readonly index: number; readonly name: string }

export type ViewLink = Device & {
  /** "veth", "bridge", "vxlan"; "" for hardware and loopback. */
  readonly kind: string
  readonly mac: string
  readonly mtuBytes: number
  readonly isUp: boolean
  readonly hasCarrier: boolean
  /** The index of the bridge that it is a port of. */
  readonly master?: number
  readonly vxlan?: { readonly id: number; readonly port: number; readonly local?: Addr }
  readonly hasNoArp: boolean
  readonly isEthernet: boolean
  readonly port?: { readonly isBlocked: boolean }
}

export type ViewNeighbour = { readonly state: NeighbourState; readonly mac?: string }

/** A bridge's entry of a MAC: the device by which frames to it leave. */
export type ViewEntry = { readonly index: number; readonly origin: 'own' | 'static' | 'learned' }

/** Where connection tracking sends a connection. */
export type TrackedEnd = { readonly addr?: Addr; readonly port?: number }

export type FlowKey = {
  readonly src: Addr
  readonly ipProtocol: number
  readonly sourcePort: number
}

export interface KernelView extends Disposable {
  /** As of the beginning. */
  readonly links: readonly ViewLink[]
  addresses(): readonly { readonly index: number; readonly addr: Addr }[]
  /** Of both families, in the order in which the kernel looks at them. */
  rules(): readonly Rule[]
  lookUp(lookup: WayLookup): WayAnswer
  /** Routes by others than Causeway, of all tables, that drop packets. */
  droppingRoutes(): Promise<readonly Route[]>
  /** undefined: the kernel knows nothing of the neighbour. `patienceMs`: how long one that has not answered yet is waited for. */
  neighbour(device: Device, addr: Addr, patienceMs?: number): Promise<ViewNeighbour | undefined>
  /** As `neighbour`, of what is known now. */
  neighbourNow(device: Device, addr: Addr): ViewNeighbour | undefined
  /** The tunnel ends that a VXLAN device itself has for a MAC. */
  tunnelEnds(device: Device, mac: string): Promise<readonly Addr[]>
  fdb(bridge: Device, mac: string): ViewEntry | undefined
  /** By its path below /proc/sys; undefined: there is none. */
  sysctl(path: string): string | undefined
  /** Of nftables and legacy iptables, without those that say what network policies do. */
  chains(): Promise<readonly BaseChain[]>
  /** The tables of nftables. */
  tables(): readonly { readonly family: string; readonly name: string }[]
  /** Whether a socket waits for packets to the address and port. */
  isWaitedFor(protocol: 'tcp' | 'udp', port: number, addr: Addr): boolean
  /** The names of programs and filters of others at a device. */
  programsOfOthers(device: Device, hook: 'ingress' | 'egress'): readonly string[]
  trackedEnd(flow: FlowKey): Promise<TrackedEnd | undefined>
  /** Lets others have a turn of the event loop. */
  pause(): Promise<void>
}
