// The speaker's policies: those of the objects, with prefixes in place of their named sets of CIDRs, and the defaults of objects without.
import { type Prefix } from '#/lib/addr.ts'
import { type PolicyRule, type RouteMatch, type RoutePolicy } from '#/model/bgp.ts'
import { type CidrSet } from '#/model/bgp-limits.ts'
import { type PolicySpec } from '#/model/bgp-sections.ts'

type Prefixes = NonNullable<RouteMatch['prefixes']>

export type CidrSets = { readonly [S in CidrSet]: Prefixes }

/** The prefixes behind the named sets. `cluster` matches each CIDR and every prefix within it, `own` exactly its CIDRs. */
export function cidrSetsOf(cluster: readonly Prefix[], own: readonly Prefix[]): CidrSets {
  return {
    ClusterCIDRs: cluster.map((prefix) => ({ prefix, minLength: prefix.length, maxLength: prefix.addr.bits })),
    OwnPodCIDRs: own.map((prefix) => ({ prefix })),
  }
}

export const nothing: RoutePolicy = { rules: [], otherwise: 'reject' }

export function only(name: string, prefixes: Prefixes): RoutePolicy {
  return { rules: [{ name, match: { prefixes }, action: 'accept' }], otherwise: 'reject' }
}

/**
 * The import policy for a node that reflects no routes: it accepts exactly the node's own pod CIDRs, or one node could draw the packets of
 * all pods to itself. `podCIDRs` are those of the Node object to which no other node has the better claim.
 */
export function onlyOfNode(node: string, podCIDRs: readonly Prefix[]): RoutePolicy {
  return {
    ...only(
      'pod-cidrs-of-node',
      podCIDRs.map((prefix) => ({ prefix })),
    ),
    otherwiseBecause: `it is no pod CIDR that the Node object of ${node} owns, and ${node} is no route reflector of this node`,
  }
}

/**
 * An accepting rule that names prefixes is a grant (PolicyRule.isGrant): its author wants exactly these routes. A rule with a named set of
 * CIDRs is no grant: a prefix that merely lies in the cluster CIDRs must not take packets from the node's own network.
 */
export function policyOf({ rules, otherwise }: PolicySpec, sets: CidrSets): RoutePolicy {
  return {
    rules: rules.flatMap(({ cidrSet, match, ...rule }): PolicyRule[] => {
      const bySet = cidrSet === undefined ? [] : [{ ...rule, match: { ...match, prefixes: sets[cidrSet] } }]
      if (match.prefixes === undefined) return cidrSet === undefined ? [{ ...rule, match }] : bySet
      return [...bySet, { ...rule, match, ...(rule.action === 'accept' && { isGrant: true }) }]
    }),
    otherwise,
  }
}
