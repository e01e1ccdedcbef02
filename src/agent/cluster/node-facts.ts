// What Node objects say of the network, read once for all who need it: an object is replaced when it changes.
import { type Addr, type Prefix } from '#/lib/addr.ts'
import { internalAddressesOf, type KubeNode, podCIDRsOf } from '#/model/kubernetes.ts'
import { type Problem } from '#/model/problems.ts'
import { type RoutingState, routingStateOf } from '#/model/routing.ts'

export type NodeFacts = {
  readonly podCIDRs: readonly Prefix[]
  /** InternalIP addresses, in their order. */
  readonly addrs: readonly Addr[]
  /** What the node tells the others of how it crosses to them; undefined: nothing. */
  readonly routingState: RoutingState | undefined
  /** What of it cannot be used. */
  readonly problems: readonly Problem[]
  readonly routingProblem: Problem | undefined
}

const known = new WeakMap<KubeNode, NodeFacts>()

export function factsOf(node: KubeNode): NodeFacts {
  const before = known.get(node)
  if (before) return before
  const cidrs = podCIDRsOf(node)
  const addresses = internalAddressesOf(node)
  const routing = routingStateOf(node)
  const facts: NodeFacts = {
    podCIDRs: cidrs.prefixes,
    addrs: addresses.addrs,
    routingState: routing.state,
    problems: [...cidrs.problems, ...addresses.problems],
    routingProblem: routing.problem,
  }
  known.set(node, facts)
  return facts
}
