// The tunnel to another node: a route per remote pod CIDR, which carries the tunnel's ends itself.
import { Addr, type Family, type Prefix } from '#/lib/addr.ts'
import { type NodeState, type UnderlayMtu } from '#/model/network.ts'
import { vtepGateways } from '#/model/names.ts'
import { type VerdictTunnel } from '#/model/verdict.ts'

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

/** Where the tunnel's frames are sent to: flannel's own convention is that a VTEP answers to the network address of its pod CIDR. */
export function vtepOf(peer: NodeState, dst: Prefix): Pick<VerdictTunnel, 'gateway' | 'vtepMac'> {
  const vtepMac = peer.vtepMacs?.[dst.family]
  return vtepMac === undefined ? { gateway: sharedGateways[dst.family] } : { gateway: dst.addr, vtepMac }
}

const sharedGateways = { 4: Addr.parse(vtepGateways[4]), 6: Addr.parse(vtepGateways[6]) } as const
