// How packets cross to one other node over VXLAN: a route per remote pod CIDR, which carries the tunnel's ends itself.
import { Addr, type Family } from '#/lib/addr.ts'
import {
  type DesiredNeighbour,
  type DesiredRoute,
  type NetworkSettings,
  type NodeState,
  type Problem,
  type UnderlayMtu,
} from '#/model/network.ts'
import { overlayMetric, vtepGateways, vxlanName } from '#/model/names.ts'

/** Outer IP header, UDP 8, VXLAN 8, inner Ethernet 14 (RFC 7348 section 5). */
export const overheadBytes = { 4: 50, 6: 70 } as const
const minimumMtuV6Bytes = 1280

/** From where the plan of a peer is drawn: this node and what it stands on. */
export type PeerContext = {
  readonly self: NodeState
  readonly underlay: UnderlayMtu
  readonly settings: NetworkSettings
}

/** What one other node costs in this node's kernel. */
export type PeerPlan = {
  readonly routes: readonly DesiredRoute[]
  /** Only where the peer is a flannel node: its VTEP has an address and a MAC of its own. */
  readonly neighbours: readonly DesiredNeighbour[]
  /** The addresses that its tunnel packets come from and go to. */
  readonly tunnelEnds: readonly Addr[]
  readonly problems: readonly Problem[]
}

export const noPeerPlan: PeerPlan = { routes: [], neighbours: [], tunnelEnds: [], problems: [] }

function addrOf(node: NodeState, family: Family): Addr | undefined {
  return node.addrs.find((addr) => addr.family === family)
}

/** The gateway of a pod CIDR: its first address, on the node's bridge. */
function gatewayOf(node: NodeState, family: Family): Addr | undefined {
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

/** The plan for one other node, or in `problems` why packets cannot cross to it. */
export function planPeer(peer: NodeState, { self, underlay, settings }: PeerContext): PeerPlan {
  const routes: DesiredRoute[] = []
  const neighbours: DesiredNeighbour[] = []
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
    const vtepMac = peer.vtepMacs?.[dst.family]
    // flannel's own convention: the VTEP answers to the network address of its pod CIDR
    const gateway = vtepMac === undefined ? sharedGateways[dst.family] : dst.addr
    if (vtepMac !== undefined) neighbours.push({ device: vxlanName, addr: gateway, mac: vtepMac })
    routes.push({
      dst,
      device: vxlanName,
      gateway,
      ...(preferredSource && { preferredSource }),
      mtuBytes,
      metric: overlayMetric(dst),
      encap: { vni: settings.vni, src: addrOf(self, outer)!, dst: addrOf(peer, outer)! },
      node: peer.name,
    })
  }
  return { routes, neighbours, tunnelEnds: peer.addrs, problems }
}

const sharedGateways = { 4: Addr.parse(vtepGateways[4]), 6: Addr.parse(vtepGateways[6]) } as const
