// What a node tells another node of its own AS: no more than the other one takes. Routes that it would refuse cost memory and time on both
// sides, and count towards limits there. Pure.
import { type RoutePolicy } from '#/model/bgp.ts'
import { type BgpPeer } from '#/model/bgp-objects.ts'
import { type BgpMember } from './bgp-member.ts'
import { type CidrSets, only } from './bgp-policies.ts'
import { peersOf } from './bgp-selection.ts'

export type ExportContext = {
  readonly self: BgpMember
  /** Whether this node reflects other nodes' routes to its clients. */
  readonly isReflector: boolean
  /** All BGPPeers. */
  readonly peers: readonly BgpPeer[]
  readonly sets: CidrSets
}

/**
 * The export policy for a session with a node of the own AS; undefined: everything, because the other node has a BGPPeer that decides what
 * it takes of this one. Otherwise nodes take of each other as `onlyOfNode` and planMesh say: this must be what they take.
 */
export function exportToNode(
  other: BgpMember,
  { self, isReflector, peers, sets }: ExportContext,
): RoutePolicy | undefined {
  const decides = ({ addr, importPolicy }: BgpPeer): boolean =>
    importPolicy !== undefined && addr !== undefined && self.addrs.some((own) => own.equals(addr))
  if (peersOf(other, peers).some(decides)) return undefined
  return isReflector ? only('cluster-cidrs', sets.ClusterCIDRs) : only('own-pod-cidrs', sets.OwnPodCIDRs)
}
