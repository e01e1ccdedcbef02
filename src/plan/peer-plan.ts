// What one other node costs in this node's kernel: which way packets cross to each of its pod CIDRs, and what that takes. Pure.
import { type Addr, type Family, type Prefix } from '#/lib/addr.ts'
import { type LearnedRoute } from '#/model/bgp.ts'
import {
  type ConnectedSubnet,
  type DesiredNeighbour,
  type NativeRoute,
  type NetworkSettings,
  type NodeState,
  type OverlayRoute,
  type UnderlayMtu,
} from '#/model/network.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { nativeMetric } from '#/model/names.ts'
import { plainVxlan, type Routing } from '#/model/routing.ts'
import { chooseCrossing, directHop } from './crossing.ts'
import { admitPodCIDR } from './guard.ts'
import { overheadBytes, overlayRoute, tunnelBetween } from './overlay.ts'

const minimumMtuV6Bytes = 1280

/** From where the plan of a peer is drawn: this node and what it stands on. */
export type PeerContext = {
  readonly self: NodeState
  readonly underlay: UnderlayMtu
  readonly connected: readonly ConnectedSubnet[]
  readonly routing: Routing
  readonly settings: NetworkSettings
  /** Former pod CIDRs of this node that its pods still have addresses of. */
  readonly formerCIDRs?: readonly Prefix[]
}

export type TunnelMtu = { readonly family: Family; readonly mtuBytes: number }

export type PeerPlan = {
  /** The pod CIDRs that are its alone. */
  readonly podCIDRs: readonly Prefix[]
  readonly routes: readonly (OverlayRoute | NativeRoute)[]
  /** Only where the peer is a flannel node: its VTEP has an address and a MAC of its own. */
  readonly neighbours: readonly DesiredNeighbour[]
  /** The addresses that its tunnel packets come from and go to. */
  readonly tunnelEnds: readonly Addr[]
  /** What fits through the tunnel by family of pods, whether packets take it now or not. */
  readonly tunnels: readonly TunnelMtu[]
  /** BGP's routes that are not used, by prefix, and why. */
  readonly unused: ReadonlyMap<string, string>
  readonly problems: readonly Problem[]
}

const nothing: ReadonlyMap<string, string> = new Map()

export const noPeerPlan: PeerPlan = {
  podCIDRs: [],
  routes: [],
  neighbours: [],
  tunnelEnds: [],
  tunnels: [],
  unused: nothing,
  problems: [],
}

/** The gateway of a pod CIDR: its first address, on the node's bridge. */
function gatewayOf(node: NodeState, family: Family): Addr | undefined {
  return node.podCIDRs.find((cidr) => cidr.family === family)?.at(1)
}

/** `learned` has BGP's routes by prefix. In the plan's `problems` is why packets cannot cross. */
export function planPeer(peer: NodeState, context: PeerContext, learned: ReadonlyMap<string, LearnedRoute>): PeerPlan {
  const { self, underlay, connected, routing, settings } = context
  const routes: (OverlayRoute | NativeRoute)[] = []
  const neighbours: DesiredNeighbour[] = []
  const tunnels: TunnelMtu[] = []
  const problems: Problem[] = []
  const unused = new Map<string, string>()
  const isAwaited = routing === 'native' && peer.isStarting === true
  const takesTunnel = !isAwaited && (peer.routingState ?? plainVxlan).accepts.includes('vxlan')
  const object = `node/${peer.name}`
  for (const dst of peer.podCIDRs) {
    const tunnel = tunnelBetween(self, peer, dst.family, underlay)
    if (tunnel) tunnels.push({ family: dst.family, mtuBytes: tunnel.mtuBytes })
    const told = learned.get(String(dst))
    const admission = told && admitPodCIDR(told, context)
    if (admission?.kind === 'refused') unused.set(String(dst), admission.reason)
    const crossing = chooseCrossing(routing, {
      learned: admission?.kind === 'admitted' ? admission.nextHops : undefined,
      direct: directHop(peer, dst.family, connected),
      canTunnel: tunnel !== undefined,
      takesTunnel,
    })
    const preferredSource = gatewayOf(self, dst.family)
    if (crossing.kind === 'native') {
      const { origin, nextHops } = crossing
      routes.push({
        kind: 'native',
        dst,
        metric: nativeMetric(dst),
        origin,
        nextHops,
        // the same as through the tunnel: a connection of the node's own outlives a change of the way
        ...(preferredSource && { preferredSource }),
        node: peer.name,
      })
    } else if (crossing.kind === 'vxlan' && tunnel) {
      if (admission?.kind === 'admitted')
        unused.set(String(dst), `the routing of ${self.name} is vxlan, and ${peer.name} takes VXLAN`)
      if (dst.family === 6 && tunnel.mtuBytes < minimumMtuV6Bytes)
        problems.push(
          problem(
            'CW1202',
            object,
            `the underlay's MTU leaves ${tunnel.mtuBytes} bytes for ${dst}; IPv6 needs ${minimumMtuV6Bytes}`,
            { remedy: `raise the underlay's MTU to at least ${minimumMtuV6Bytes + overheadBytes[tunnel.outer]}` },
          ),
        )
      const { route, neighbour } = overlayRoute(peer, dst, tunnel, { vni: settings.vni, preferredSource })
      routes.push(route)
      if (neighbour) neighbours.push(neighbour)
    } else if (!isAwaited) problems.push(noWayProblem(peer, dst, context, { canTunnel: tunnel !== undefined }))
  }
  return { podCIDRs: peer.podCIDRs, routes, neighbours, tunnelEnds: peer.addrs, tunnels, unused, problems }
}

function noWayProblem(
  peer: NodeState,
  dst: Prefix,
  { self, routing }: PeerContext,
  { canTunnel }: { readonly canTunnel: boolean },
): Problem {
  const told = (why: string, remedy?: string): Problem =>
    problem('CW1201', `node/${peer.name}`, `no route to ${dst}: ${why}`, remedy === undefined ? {} : { remedy })
  if (canTunnel)
    return told(
      'it takes no VXLAN (any more), BGP tells no way to it, and no subnet is shared with it',
      `let BGP tell its pod CIDR to ${self.name}, or set its routing to auto`,
    )
  const why =
    peer.addrs.length === 0
      ? 'the node has no InternalIP address'
      : `no address family that both it and ${self.name} have`
  return told(routing === 'vxlan' ? why : `BGP tells no way to it, and for another ${why}`)
}
