// How packets cross between nodes over VXLAN: one route per remote pod CIDR, which carries the tunnel's ends itself.
import { Addr, type Family } from '#/lib/addr.ts'
import {
  type DesiredRoute,
  type NetworkSettings,
  type NodeState,
  type Problem,
  type UnderlayMtu,
} from '#/model/network.ts'
import { vtepGateways, vxlanName } from '#/model/names.ts'

/** Outer IP header, UDP 8, VXLAN 8, inner Ethernet 14 (RFC 7348 section 5). */
export const overheadBytes = { 4: 50, 6: 70 } as const
const minimumMtuV6Bytes = 1280

export function addrOf(node: NodeState, family: Family): Addr | undefined {
  return node.addrs.find((addr) => addr.family === family)
}

/** The gateway of a pod CIDR: its first address, on the node's bridge. */
export function gatewayOf(node: NodeState, family: Family): Addr | undefined {
  return node.podCIDRs.find((cidr) => cidr.family === family)?.at(1)
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

/** Routes to all pod CIDRs of one remote node, or why there is none. */
export function routesTo(
  peer: NodeState,
  self: NodeState,
  underlay: UnderlayMtu,
  settings: NetworkSettings,
): { routes: DesiredRoute[]; problems: Problem[] } {
  const routes: DesiredRoute[] = []
  const problems: Problem[] = []
  const object = `node/${peer.name}`
  for (const dst of peer.podCIDRs) {
    const outer = outerFamily(self, peer, dst.family)
    const mtuBytes = outer && tunnelMtu(underlay, outer)
    if (outer === undefined || mtuBytes === undefined) {
      problems.push({
        object,
        message: `no route to ${dst}: ${peer.addrs.length === 0 ? 'the node has no InternalIP address' : `no address family that both it and ${self.name} have`}; its kubelet sets status.addresses`,
      })
      continue
    }
    if (dst.family === 6 && mtuBytes < minimumMtuV6Bytes) {
      problems.push({
        object,
        message: `the underlay's MTU leaves ${mtuBytes} bytes for ${dst}; IPv6 needs ${minimumMtuV6Bytes}: raise the underlay's MTU to at least ${minimumMtuV6Bytes + overheadBytes[outer]}`,
      })
    }
    const preferredSource = gatewayOf(self, dst.family)
    routes.push({
      dst,
      device: vxlanName,
      gateway: Addr.parse(vtepGateways[dst.family]),
      ...(preferredSource && { preferredSource }),
      mtuBytes,
      encap: { vni: settings.vni, src: addrOf(self, outer)!, dst: addrOf(peer, outer)! },
      node: peer.name,
    })
  }
  return { routes, problems }
}
