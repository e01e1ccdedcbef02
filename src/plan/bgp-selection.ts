// Which BGPPeers are for which node. Pure.
import { type BgpPeer } from '#/model/bgp-objects.ts'
import { selects } from '#/model/label-selector.ts'
import { type BgpMember } from './bgp-member.ts'

/** The BGPPeers for this node, sorted by name. A BGPPeer with an address of this node is left out: it is for the other nodes. */
export function peersOf(self: BgpMember, peers: readonly BgpPeer[]): BgpPeer[] {
  return peers
    .filter(({ nodeSelector }) => nodeSelector === undefined || selects(nodeSelector, self.labels))
    .filter(({ addr }) => addr === undefined || !self.addrs.some((own) => own.equals(addr)))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}
