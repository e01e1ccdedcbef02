// The pod CIDRs this node serves: those it has, as far as they can be used, and those it had when its pods were made.
// A Node object can get other CIDRs while its pods live on; they keep their addresses, gateway and masquerade.
import { type Prefix } from '#/lib/addr.ts'
import { type NodeState } from '#/model/network.ts'
import { problemCatalogue } from '#/model/problem-catalogue.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { tooSmall } from './allocate.ts'

export type ServedCIDRs = {
  /** Those of its CIDRs that new pods get addresses from. */
  readonly podCIDRs: readonly Prefix[]
  /** Former ones that pods still have addresses of, sorted. */
  readonly former: readonly Prefix[]
  readonly problems: readonly Problem[]
}

/** `held` are the CIDRs of addresses that pods of this node have; `ownerOf` names another node whose pod CIDR overlaps one. */
export function serveCIDRs(
  node: NodeState,
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
  const former = [...others.values()].filter((cidr) => {
    const owner = ownerOf(cidr)
    const sibling = podCIDRs.find((each) => each.overlaps(cidr))
    // the same gateway serves the pods of both
    if (!owner && sibling?.at(1).equals(cidr.at(1))) return false
    const why = owner ? `belongs to node ${owner} now` : sibling && `overlaps its pod CIDR ${sibling}`
    if (why === undefined) return true
    const message = `pods with addresses of its former pod CIDR ${cidr} are cut off, because it ${why}`
    problems.push(problem('CW1107', object, message))
    return false
  })
  return { podCIDRs, former: former.toSorted((a, b) => a.compare(b)), problems }
}
