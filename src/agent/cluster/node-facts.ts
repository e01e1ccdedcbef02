// Reads what Node objects say about the network. Each object is read once and the result kept: a changed node is a new object.
import { type Addr, type Prefix } from '#/lib/addr.ts'
import { formerCIDRsOf, internalAddressesOf, type KubeNode, podCIDRsOf } from '#/model/kubernetes.ts'
import { type NodeLife } from '#/model/network.ts'
import { lackOfAgent, lifeOf } from '#/model/node-life.ts'
import { type Problem } from '#/model/problems.ts'
import { type RoutingState, routingStateOf } from '#/model/routing.ts'

export type NodeFacts = {
  readonly podCIDRs: readonly Prefix[]
  /** Those of `podCIDRs` that an annotation added. */
  readonly extraCIDRs: readonly Prefix[]
  /** Pod CIDRs that the node has lost while pods still have addresses of them, as its agent tells. */
  readonly formerCIDRs: readonly Prefix[]
  /** Why no agent of Causeway can run on the node; undefined when one can. */
  readonly lacksAgent: string | undefined
  readonly life: NodeLife
  /** The node's InternalIP addresses, in the order of its status. */
  readonly addrs: readonly Addr[]
  /** The ways that packets take to and from the node, as its annotation says; undefined without a valid annotation. */
  readonly routingState: RoutingState | undefined
  /** Problems of the node's pod CIDRs and addresses: values that cannot be used. */
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
    extraCIDRs: cidrs.extra,
    formerCIDRs: formerCIDRsOf(node).filter((cidr) => !cidrs.prefixes.some((each) => each.overlaps(cidr))),
    lacksAgent: lackOfAgent(node),
    life: lifeOf(node),
    addrs: addresses.addrs,
    routingState: routing.state,
    problems: [...cidrs.problems, ...addresses.problems],
    routingProblem: routing.problem,
  }
  known.set(node, facts)
  return facts
}
