// Nodes as BGP sees them: what every node knows of every other, so that each can compute whom another peers with.
import { Addr, type Family } from '#/lib/addr.ts'
import { type BgpConfiguration } from '#/model/bgp-objects.ts'
import { selects } from '#/model/label-selector.ts'
import { fnv1a } from '#/model/names.ts'
import { type NodeState } from '#/model/network.ts'

export type BgpMember = Pick<NodeState, 'name' | 'podCIDRs' | 'addrs'> & {
  readonly labels: Readonly<Record<string, string>>
  /** Whether the node's Ready condition is True. */
  readonly isReady: boolean
  /** Whether the node sends to other nodes through the tunnel alone, and so has no session of the mesh. */
  readonly isTunnelOnly?: boolean
}

/** The AS of a node in the mesh. */
export function asnOf({ labels }: Pick<BgpMember, 'labels'>, { asn, localAsns }: BgpConfiguration): number {
  return localAsns.find(({ nodeSelector }) => selects(nodeSelector, labels))?.asn ?? asn
}

export function addrOf({ addrs }: Pick<BgpMember, 'addrs'>, family: Family): Addr | undefined {
  return addrs.find((addr) => addr.family === family)
}

/** RFC 6286: any 32 bits but 0 that no other of the AS has. */
export function routerIdOf(member: BgpMember): Addr {
  return addrOf(member, 4) ?? new Addr(4, BigInt(fnv1a(`router id ${member.name}`) || 1))
}

/**
 * Whether this node has an address to be the next hop of a family's routes in a session over one of `over`. That of IPv4 routes can be
 * an IPv6 one (RFC 8950), never the other way round.
 */
export function hasNextHop(self: Pick<BgpMember, 'addrs'>, family: Family, over: Family): boolean {
  return family === over || family === 4 || addrOf(self, family) !== undefined
}
