// Whose pod CIDR an address is of. Pure.
import { type Addr, type Prefix } from '#/lib/addr.ts'
import { type PredictDeps } from './context.ts'

/** A node's pod CIDR. */
export type NodeCIDR = { readonly node: string; readonly cidr: Prefix }

/** The node with the smallest of the pod CIDRs that have the address; undefined: none has it. */
export function cidrNodeOf(cidrs: Iterable<NodeCIDR>, addr: Addr): string | undefined {
  let best: NodeCIDR | undefined
  for (const each of cidrs)
    if (each.cidr.contains(addr) && (best === undefined || best.cidr.length < each.cidr.length)) best = each
  return best?.node
}

/** The pod CIDRs of all nodes, as one of them knows them. */
export function nodeCIDRs({
  nodeName,
  podCIDRs,
  verdicts,
}: Pick<PredictDeps, 'nodeName' | 'podCIDRs' | 'verdicts'>): NodeCIDR[] {
  const own = podCIDRs().map((cidr) => ({ node: nodeName, cidr }))
  return [...own, ...[...verdicts()].map(({ node, dst }) => ({ node, cidr: dst }))]
}
