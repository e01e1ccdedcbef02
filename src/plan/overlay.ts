// The tunnel to another node: a route per remote pod CIDR, which carries the tunnel's ends itself.
import { Addr, type Family, type Prefix } from '#/lib/addr.ts'
import { type DesiredNeighbour, type NodeState, type OverlayRoute, type UnderlayMtu } from '#/model/network.ts'
import { overlayMetric, vtepGateways, vxlanName } from '#/model/names.ts'

/** Outer IP header, UDP 8, VXLAN 8, inner Ethernet 14 (RFC 7348 section 5). */
export const overheadBytes = { 4: 50, 6: 70 } as const

/** How packets of one family of pods are tunnelled between two nodes. */
export type Tunnel = { readonly outer: Family; readonly src: Addr; readonly dst: Addr; readonly mtuBytes: number }

function addrOf(node: NodeState, family: Family): Addr | undefined {
  return node.addrs.find((addr) => addr.family === family)
}

/** The family that packets between two nodes travel in: that of the pods where both nodes have it, else the other. */
export function outerFamily(self: NodeState, peer: NodeState, inner: Family): Family | undefined {
  const other: Family = inner === 4 ? 6 : 4
  return [inner, other].find((family) => addrOf(self, family) && addrOf(peer, family))
}

/** The largest packet that fits through the tunnel, by outer family. */
export function tunnelMtu(underlay: UnderlayMtu, outer: Family): number | undefined {
  const mtuBytes = underlay[outer]
  return mtuBytes === undefined ? undefined : mtuBytes - overheadBytes[outer]
}

/** Undefined where the nodes have no family in common. */
export function tunnelBetween(
  self: NodeState,
  peer: NodeState,
  inner: Family,
  underlay: UnderlayMtu,
): Tunnel | undefined {
  const outer = outerFamily(self, peer, inner)
  const mtuBytes = outer && tunnelMtu(underlay, outer)
  if (outer === undefined || mtuBytes === undefined) return undefined
  return { outer, src: addrOf(self, outer)!, dst: addrOf(peer, outer)!, mtuBytes }
}

/** Only where the peer is a flannel node there is a neighbour: its VTEP has an address and a MAC of its own. */
export function overlayRoute(
  peer: NodeState,
  dst: Prefix,
  { src, dst: end, mtuBytes }: Tunnel,
  options: { readonly vni: number; readonly preferredSource: Addr | undefined },
): { readonly route: OverlayRoute; readonly neighbour?: DesiredNeighbour } {
  const { vni, preferredSource } = options
  const vtepMac = peer.vtepMacs?.[dst.family]
  // flannel's own convention: the VTEP answers to the network address of its pod CIDR
  const gateway = vtepMac === undefined ? sharedGateways[dst.family] : dst.addr
  const route: OverlayRoute = {
    kind: 'overlay',
    dst,
    device: vxlanName,
    gateway,
    ...(preferredSource && { preferredSource }),
    mtuBytes,
    metric: overlayMetric(dst),
    encap: { vni, src, dst: end },
    node: peer.name,
  }
  return { route, ...(vtepMac !== undefined && { neighbour: { device: vxlanName, addr: gateway, mac: vtepMac } }) }
}

const sharedGateways = { 4: Addr.parse(vtepGateways[4]), 6: Addr.parse(vtepGateways[6]) } as const
