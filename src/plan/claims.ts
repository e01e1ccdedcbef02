// Who owns which pod CIDR and which address, when Node objects contradict each other.
import { type Prefix } from '#/lib/addr.ts'
import { type NodeState, type Problem } from '#/model/network.ts'

/** A first owner by start address; sorted, because claims are nearly always disjoint and there are thousands. */
type Claim = { readonly cidr: Prefix; readonly node: string }

function conflicts(claims: readonly Claim[]): Map<Claim, Claim> {
  const lost = new Map<Claim, Claim>()
  const sorted = claims.toSorted((a, b) => a.cidr.compare(b.cidr))
  // CIDRs are nested or disjoint, so those that can hold the next one form a stack
  let open: Claim[] = []
  for (const claim of sorted) {
    open = open.filter(({ cidr }) => cidr.contains(claim.cidr))
    const holder = open.find(({ node }) => node !== claim.node)
    if (holder) lost.set(claim, holder)
    else open.push(claim)
  }
  return lost
}

/**
 * The nodes without the pod CIDRs that overlap another node's and without addresses that another node has too: packets must
 * not go to one of two by chance. Of equal claims the node wins whose name sorts first, on every node alike.
 */
export function settleClaims(nodes: readonly NodeState[]): { nodes: NodeState[]; problems: Problem[] } {
  const sorted = nodes.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const claims = sorted.flatMap(({ name, podCIDRs }) => podCIDRs.map((cidr) => ({ cidr, node: name })))
  const lost = conflicts(claims)
  const problems: Problem[] = []
  const losers = new Map<string, Set<string>>()
  for (const [claim, holder] of lost) {
    losers.set(claim.node, (losers.get(claim.node) ?? new Set()).add(String(claim.cidr)))
    problems.push({
      object: `node/${claim.node}`,
      message: `pod CIDR ${claim.cidr} overlaps ${holder.cidr} of node ${holder.node}; it is not routed: delete and re-create one of the two Node objects`,
    })
  }
  const owners = new Map<string, string>()
  const settled = sorted.map((node) => {
    const addrs = node.addrs.filter((addr) => {
      const owner = owners.get(String(addr))
      if (owner === undefined) {
        owners.set(String(addr), node.name)
        return true
      }
      problems.push({
        object: `node/${node.name}`,
        message: `address ${addr} is also that of node ${owner}; it is not used for ${node.name}: correct status.addresses of one of them`,
      })
      return false
    })
    const podCIDRs = node.podCIDRs.filter((cidr) => !losers.get(node.name)?.has(String(cidr)))
    return { name: node.name, podCIDRs, addrs }
  })
  return { nodes: settled, problems }
}
