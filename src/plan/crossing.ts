// Decides whether packets to another node's pod CIDR go natively or through the tunnel. docs/routing.md has the table. Pure.
import { type Family } from '#/lib/addr.ts'
import { type DesiredHop, type NodeState } from '#/model/network.ts'
import { type Routing } from '#/model/routing.ts'
import { type NodeWays } from './node-ways.ts'

/** The possible ways to one pod CIDR. */
export type Ways = {
  /** The next hops of BGP's route. */
  readonly learned?: readonly DesiredHop[] | undefined
  /** The next hops of BGP's route where that says no more than that the node itself is reached over routers. */
  readonly overRouters?: readonly DesiredHop[] | undefined
  /** The next hop straight to the node, over a link that both nodes are on. */
  readonly direct?: DesiredHop | undefined
  /** Whether a tunnel can be built: both nodes have an address of one family. */
  readonly canTunnel: boolean
  /** Whether the other node announces that it accepts VXLAN. */
  readonly takesTunnel: boolean
}

export type Crossing =
  | { readonly kind: 'native'; readonly origin: 'bgp' | 'direct'; readonly nextHops: readonly DesiredHop[] }
  | { readonly kind: 'vxlan' }
  | { readonly kind: 'none' }

/**
 * `routing` decides whether native ways go before the tunnel or after it. BGP's route goes before the direct way, because its author knows
 * more of the network than two addresses on one subnet show. A way over routers that need not know pods comes last. Any existing way is better than none, whatever `routing` says: nodes have
 * different settings while a cluster is switched node by node.
 */
export function chooseCrossing(
  routing: Routing,
  { learned, overRouters, direct, canTunnel, takesTunnel }: Ways,
): Crossing {
  const native: Crossing | undefined = learned
    ? { kind: 'native', origin: 'bgp', nextHops: learned }
    : direct && { kind: 'native', origin: 'direct', nextHops: [direct] }
  const tunnel: Crossing | undefined = canTunnel && takesTunnel ? { kind: 'vxlan' } : undefined
  const last: Crossing = overRouters ? { kind: 'native', origin: 'bgp', nextHops: overRouters } : { kind: 'none' }
  return (routing === 'vxlan' ? (tunnel ?? native) : (native ?? tunnel)) ?? last
}

/** The reason of a choice in words, which the verdict keeps. For the kind `none` the caller gives the reason: it knows what is missing. */
export function reasonFor(
  routing: Routing,
  { learned, overRouters, direct, canTunnel, takesTunnel }: Ways,
  kind: 'native' | 'vxlan',
): string {
  const hasTunnel = canTunnel && takesTunnel
  if (kind === 'vxlan') {
    if (learned === undefined && direct === undefined)
      return `BGP tells no way${overRouters ? ' but over routers, which need not know pods' : ''}, and no subnet is shared with the node`
    return 'routing is vxlan, and the node takes VXLAN'
  }
  const native = learned
    ? 'BGP tells this way'
    : direct
      ? 'a subnet is shared with the node'
      : 'BGP tells that the node is reached over routers, there is no other way'
  if (routing !== 'vxlan') return native
  return hasTunnel
    ? native
    : `${native}, and ${canTunnel ? 'the node takes no VXLAN' : 'no tunnel to the node can be built'}`
}

/**
 * The other node's address on a link that both nodes are on. The node's own addresses do not say which: they may have the length of a
 * single address, or be on lo. IPv4 pods may use an IPv6 address (RFC 8950), IPv6 pods no IPv4 one.
 */
export function directHop(peer: NodeState, self: NodeState, inner: Family, ways: NodeWays): DesiredHop | undefined {
  const families: readonly Family[] = inner === 4 ? [4, 6] : [6]
  for (const family of families) {
    for (const gateway of peer.addrs) {
      if (gateway.family !== family || self.addrs.some((own) => own.equals(gateway))) continue
      const way = ways.find(gateway)
      if (way?.kind !== 'link' || !way.isFromNode) continue
      return { device: way.device, gateway, ...(way.needsOnlink && { onlink: true }) }
    }
  }
  return undefined
}
