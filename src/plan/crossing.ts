// The decision which way packets cross to another node's pod CIDR. docs/routing.md has it as a table. Pure.
import { type Family } from '#/lib/addr.ts'
import { type ConnectedSubnet, type DesiredHop, type NodeState } from '#/model/network.ts'
import { type Routing } from '#/model/routing.ts'

/** The ways there are to one pod CIDR. */
export type Ways = {
  /** What BGP says. */
  readonly learned?: readonly DesiredHop[] | undefined
  /** Straight to the node, over a subnet that both are on. */
  readonly direct?: DesiredHop | undefined
  /** Whether a tunnel can be built: both nodes have an address of one family. */
  readonly canTunnel: boolean
  /** Whether the other node says that it takes VXLAN. */
  readonly takesTunnel: boolean
}

export type Crossing =
  | { readonly kind: 'native'; readonly origin: 'bgp' | 'direct'; readonly nextHops: readonly DesiredHop[] }
  | { readonly kind: 'vxlan' }
  | { readonly kind: 'none' }

/**
 * Native ways go before the tunnel, or after it; what BGP says goes before the straight way, because who configured it knows more of
 * the network than two addresses of one subnet tell. Whatever the routing, a way that there is, is taken rather than none: while a
 * cluster is switched node by node, nodes differ in it.
 */
export function chooseCrossing(routing: Routing, { learned, direct, canTunnel, takesTunnel }: Ways): Crossing {
  const native: Crossing | undefined = learned
    ? { kind: 'native', origin: 'bgp', nextHops: learned }
    : direct && { kind: 'native', origin: 'direct', nextHops: [direct] }
  const tunnel: Crossing | undefined = canTunnel && takesTunnel ? { kind: 'vxlan' } : undefined
  return (routing === 'vxlan' ? (tunnel ?? native) : (native ?? tunnel)) ?? { kind: 'none' }
}

/** The reason of a choice in words, which the verdict keeps. `none` has no way to give a reason for: who asks knows what is missing. */
export function reasonFor(
  routing: Routing,
  { learned, direct, canTunnel, takesTunnel }: Ways,
  kind: 'native' | 'vxlan',
): string {
  const hasTunnel = canTunnel && takesTunnel
  if (kind === 'vxlan') {
    if (learned === undefined && direct === undefined) return 'BGP tells no way, and no subnet is shared with the node'
    return 'routing is vxlan, and the node takes VXLAN'
  }
  const native = learned ? 'BGP tells this way' : 'a subnet is shared with the node'
  if (routing !== 'vxlan') return native
  return hasTunnel
    ? native
    : `${native}, and ${canTunnel ? 'the node takes no VXLAN' : 'no tunnel to the node can be built'}`
}

/** The other node's address on a subnet that both are on; IPv4 pods may go over IPv6 (RFC 8950), the other way round is none. */
export function directHop(
  peer: NodeState,
  inner: Family,
  connected: readonly ConnectedSubnet[],
): DesiredHop | undefined {
  const families: readonly Family[] = inner === 4 ? [4, 6] : [6]
  for (const family of families) {
    for (const { device, prefix, addr: own, isNodeAddress } of connected) {
      if (!isNodeAddress || prefix.family !== family) continue
      const gateway = peer.addrs.find((addr) => prefix.contains(addr) && !addr.equals(own))
      if (gateway) return { device, gateway }
    }
  }
  return undefined
}
