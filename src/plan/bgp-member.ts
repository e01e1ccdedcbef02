// Nodes as BGP sees them: the facts that every node knows of every other node, so that each can compute the sessions of the others.
import { Addr, type Family } from '#/lib/addr.ts'
import { type BgpConfiguration } from '#/model/bgp-objects.ts'
import { selects } from '#/model/label-selector.ts'
import { fnv1a } from '#/model/names.ts'
import { type NodeState } from '#/model/network.ts'

export type BgpMember = Pick<NodeState, 'name' | 'podCIDRs' | 'extraCIDRs' | 'formerCIDRs' | 'addrs' | 'life'> & {
  readonly labels: Readonly<Record<string, string>>
  /** Whether the node's Ready condition is True. */
  readonly isReady: boolean
  /** Whether the node sends to other nodes only through the tunnel, and therefore has no session of the mesh. */
  readonly isTunnelOnly?: boolean
}

/** The AS number of a node in the mesh. */
export function asnOf({ labels }: Pick<BgpMember, 'labels'>, { asn, localAsns }: BgpConfiguration): number {
  return localAsns.find(({ nodeSelector }) => selects(nodeSelector, labels))?.asn ?? asn
}

export function addrOf({ addrs }: Pick<BgpMember, 'addrs'>, family: Family): Addr | undefined {
  return addrs.find((addr) => addr.family === family)
}

/** The node's IPv4 address, otherwise a hash of its name: RFC 6286 allows any 32 bits except 0 that are unique in the AS. */
export function routerIdOf(member: BgpMember): Addr {
  return addrOf(member, 4) ?? new Addr(4, BigInt(fnv1a(`router id ${member.name}`) || 1))
}

/**
 * Whether this node has an address that can be the next hop of a family's routes in a session over IPv`over`. An IPv6 address can be the
 * next hop of IPv4 routes (RFC 8950), but an IPv4 address cannot be the next hop of IPv6 routes.
 */
export function hasNextHop(self: Pick<BgpMember, 'addrs'>, family: Family, over: Family): boolean {
  return family === over || family === 4 || addrOf(self, family) !== undefined
}
