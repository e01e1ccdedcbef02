// Which BGPPeers are for which node. Pure.
import { type BgpPeer } from '#/model/bgp-objects.ts'
import { selects } from '#/model/label-selector.ts'
import { type BgpMember } from './bgp-member.ts'

/** Whether a node has this neighbour. A BGPPeer with an address of the node itself is for the other nodes. */
export function isForNode(
  { nodeSelector, addr }: Pick<BgpPeer, 'nodeSelector' | 'addr'>,
  node: Pick<BgpMember, 'labels' | 'addrs'>,
): boolean {
  const isSelected = nodeSelector === undefined || selects(nodeSelector, node.labels)
  return isSelected && (addr === undefined || !node.addrs.some((own) => own.equals(addr)))
}

/** The BGPPeers for this node, sorted by name. */
export function peersOf(self: BgpMember, peers: readonly BgpPeer[]): BgpPeer[] {
  return peers.filter((peer) => isForNode(peer, self)).toSorted((a, b) => (a.name < b.name ? -1 : 1))
}
