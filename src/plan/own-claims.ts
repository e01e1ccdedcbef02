// Which pod CIDRs of this node BGP may tell: those that all other nodes route to it. Pure.
import { type Prefix } from '#/lib/addr.ts'
import { type UntoldRoute } from '#/model/bgp.ts'
import { ClaimIndex } from './claims.ts'
import { type Claimant } from './sorted-claims.ts'

export type OwnClaims = {
  /** Former pod CIDRs, of which pods still have addresses, are the last. */
  readonly standing: readonly Prefix[]
  readonly lost: readonly UntoldRoute[]
}

/**
 * `own` is this node as its Node object shows it to others; for itself it counts as alive in any case. `rivals` are the other nodes whose
 * claims decide about it (RemoteNodes.rivalsOf): nearly always none.
 */
export function ownClaims(own: Claimant, rivals: readonly Claimant[]): OwnClaims {
  const claims = new ClaimIndex<Claimant>()
  claims.update([...rivals, own].map((each) => [each.name, each]))
  const standing = claims.settled(own.name)!.node.podCIDRs
  const lost = own.podCIDRs.filter((cidr) => !standing.some((each) => each.equals(cidr)))
  const because = (cidr: Prefix): string => {
    const owner = claims.ownersIn(cidr).find((name) => name !== own.name)
    if (owner !== undefined) return `node ${owner} has the better claim to it`
    const covered = rivals.find(({ addrs }) => addrs.some((addr) => cidr.contains(addr)))
    return `it covers the address of node ${covered?.name}`
  }
  return { standing, lost: lost.map((prefix) => ({ prefix, because: because(prefix) })) }
}
