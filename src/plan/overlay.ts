// The tunnel to another node: one route per remote pod CIDR, and the route itself holds the addresses of the tunnel's ends.
import { Addr, type Family, type Prefix } from '#/lib/addr.ts'
import { type NodeState } from '#/model/network.ts'
import { vtepGateways } from '#/model/names.ts'
import { type VerdictTunnel } from '#/model/verdict.ts'

/** The tunnel's overhead by outer family: outer IP header, UDP 8, VXLAN 8, inner Ethernet 14 (RFC 7348 section 5). */
export const overheadBytes = { 4: 50, 6: 70 } as const

/** How packets of one family of pods are tunnelled between two nodes. */
export type Tunnel = { readonly outer: Family; readonly src: Addr; readonly dst: Addr; readonly mtuBytes: number }

function addrOf(node: NodeState, family: Family): Addr | undefined {
  return node.addrs.find((addr) => addr.family === family)
}

/** The IP family of tunnel packets between two nodes: the pods' family when both nodes have an address of it, otherwise the other. */
export function outerFamily(self: NodeState, peer: NodeState, inner: Family): Family | undefined {
  const other: Family = inner === 4 ? 6 : 4
  return [inner, other].find((family) => addrOf(self, family) && addrOf(peer, family))
}

/** The tunnel between two nodes for one pod family; undefined when they share no address family, or no way to the other is known. */
export function tunnelBetween(
  self: NodeState,
  peer: NodeState,
  inner: Family,
  mtuTo: (addr: Addr) => number | undefined,
): Tunnel | undefined {
  const outer = outerFamily(self, peer, inner)
  if (outer === undefined) return undefined
  const dst = addrOf(peer, outer)!
  const mtuBytes = mtuTo(dst)
  if (mtuBytes === undefined) return undefined
  return { outer, src: addrOf(self, outer)!, dst, mtuBytes: mtuBytes - overheadBytes[outer] }
}

/** The VTEP that frames are addressed to. By flannel's convention, a flannel node's VTEP has the network address of its pod CIDR. */
export function vtepOf(peer: NodeState, dst: Prefix): Pick<VerdictTunnel, 'gateway' | 'vtepMac'> {
  const vtepMac = peer.vtepMacs?.[dst.family]
  return vtepMac === undefined ? { gateway: sharedGateways[dst.family] } : { gateway: dst.addr, vtepMac }
}

const sharedGateways = { 4: Addr.parse(vtepGateways[4]), 6: Addr.parse(vtepGateways[6]) } as const
