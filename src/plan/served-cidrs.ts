// The pod CIDRs that this node serves: its present ones, as far as they are usable, and former ones that its pods still use. A Node
// object can get other CIDRs while pods run; those pods keep their addresses, gateway and masquerade.
import { type Prefix } from '#/lib/addr.ts'
import { type NodeState } from '#/model/network.ts'
import { problemCatalogue } from '#/model/problem-catalogue.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { tooSmall } from './allocate.ts'

export type ServedCIDRs = {
  /** The node's pod CIDRs from which new pods get addresses. */
  readonly podCIDRs: readonly Prefix[]
  /** Former pod CIDRs of the node whose addresses pods still have, sorted. No other node has them. */
  readonly former: readonly Prefix[]
  /** Pod CIDRs of the node to which another node has the better claim, but of which pods here have addresses. */
  readonly disputed: readonly Prefix[]
  readonly problems: readonly Problem[]
}

/**
 * `node` is this node without the pod CIDRs to which another node has the better claim, `told` all that its Node object says. `held`: the
 * pod CIDRs that this node's pods have addresses of. `ownerOf` names another node whose pod CIDR overlaps a CIDR.
 */
export function serveCIDRs(
  node: NodeState,
  told: readonly Prefix[],
  held: readonly Prefix[],
  ownerOf: (cidr: Prefix) => string | undefined,
): ServedCIDRs {
  const object = `node/${node.name}`
  const problems: Problem[] = []
  const podCIDRs = node.podCIDRs.filter((cidr) => {
    const small = tooSmall(cidr)
    if (small === undefined) return true
    const remedy = `${small.remedy}; ${problemCatalogue.CW1106.remedy}`
    problems.push(problem('CW1106', object, small.message, { remedy }))
    return false
  })
  const others = new Map(held.map((cidr) => [String(cidr), cidr]))
  for (const cidr of node.podCIDRs) others.delete(String(cidr))
  // whatever another Node object says, the pods of this node keep their gateway
  const disputed = [...others.values()].filter((cidr) => told.some((each) => each.equals(cidr)))
  for (const cidr of disputed) others.delete(String(cidr))
  const former = [...others.values()].filter((cidr) => {
    const owner = ownerOf(cidr)
    const sibling = podCIDRs.find((each) => each.overlaps(cidr))
    // a former CIDR with the same gateway as a present one needs no serving of its own
    if (!owner && sibling?.at(1).equals(cidr.at(1))) return false
    const why = owner ? `belongs to node ${owner} now` : sibling && `overlaps its pod CIDR ${sibling}`
    if (why === undefined) return true
    const message = `pods with addresses of its former pod CIDR ${cidr} are cut off, because it ${why}`
    problems.push(problem('CW1107', object, message))
    return false
  })
  return { podCIDRs, former: former.toSorted((a, b) => a.compare(b)), disputed, problems }
}
