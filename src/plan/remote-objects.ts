// Turns verdicts into kernel objects. Only this module makes routes to other nodes' pod CIDRs, both for a plan of all nodes and for the
// change of one node. Pure.
import { type Addr, type Family } from '#/lib/addr.ts'
import { nativeMetric, overlayMetric, vxlanName } from '#/model/names.ts'
import { type DesiredNeighbour, type NativeRoute, type OverlayRoute } from '#/model/network.ts'
import { type Verdict } from '#/model/verdict.ts'
import { type RemotePlan } from './remote-plan.ts'

export type Lowering = {
  readonly vni: number
  /** This node's gateways by family: the source address of the node's own packets to remote pods, natively or through the tunnel. */
  readonly sources: { readonly [F in Family]?: Addr }
}

/** The route for a verdict; undefined when the verdict has no way. */
export function routeOf(verdict: Verdict, { vni, sources }: Lowering): OverlayRoute | NativeRoute | undefined {
  if (verdict.way === 'none') return undefined
  const { dst, node } = verdict
  const source = sources[dst.family]
  const common = { dst, node, ...(source && { preferredSource: source }) }
  if (verdict.way === 'native') {
    const { origin, nextHops } = verdict
    return { kind: 'native', ...common, metric: nativeMetric(dst), origin, nextHops }
  }
  const { tunnel, mtuBytes } = verdict
  return {
    kind: 'overlay',
    ...common,
    device: vxlanName,
    gateway: tunnel.gateway,
    mtuBytes,
    metric: overlayMetric(dst),
    encap: { vni, src: tunnel.src, dst: tunnel.dst },
  }
}

/** The neighbour entry that only a flannel node needs, because its VTEP has an address and a MAC of its own. */
function neighbourOf(verdict: Verdict): DesiredNeighbour | undefined {
  const mac = verdict.way === 'vxlan' ? verdict.tunnel.vtepMac : undefined
  return verdict.way === 'vxlan' && mac !== undefined
    ? { device: vxlanName, addr: verdict.tunnel.gateway, mac }
    : undefined
}

export type RemoteObjects = {
  readonly routes: readonly (OverlayRoute | NativeRoute)[]
  readonly neighbours: readonly DesiredNeighbour[]
  /** The addresses that other nodes' tunnel packets come from and go to. */
  readonly tunnelEnds: readonly Addr[]
}

/** The kernel objects that this node needs for one other node. Without a tunnel, `neighbours` and `tunnelEnds` are empty. */
export function objectsOf(plan: RemotePlan, lowering: Lowering, hasOverlay: boolean): RemoteObjects {
  const { verdicts, tunnelEnds } = plan
  const routes = verdicts.flatMap((verdict) => routeOf(verdict, lowering) ?? [])
  if (!hasOverlay) return { routes, neighbours: [], tunnelEnds: [] }
  return { routes, neighbours: verdicts.flatMap((verdict) => neighbourOf(verdict) ?? []), tunnelEnds }
}
