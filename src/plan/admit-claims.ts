// Decides which claims of another node are admitted at all, before they are compared with those of other nodes (claims.ts): whatever a
// Node object says, it must not draw packets of the node's own network. Pure.
import { type Addr, type Prefix } from '#/lib/addr.ts'
import { type ConnectedSubnet, type NetworkSettings, type NodeState } from '#/model/network.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { neverPods } from '#/model/special-ranges.ts'

export type AdmissionContext = {
  readonly self: NodeState
  readonly connected: readonly ConnectedSubnet[]
  readonly settings: Pick<NetworkSettings, 'clusterCIDRs'>
}

/** The node as it is admitted, which is the given value when nothing is refused, and a problem for each refused pod CIDR and address. */
export function admitClaims(
  node: NodeState,
  context: AdmissionContext,
): { readonly node: NodeState; readonly problems: readonly Problem[] } {
  const problems: Problem[] = []
  const podCIDRs = node.podCIDRs.filter((cidr) => {
    const refusal = refusalOf(cidr, context)
    if (refusal) problems.push(problem(refusal.code, `node/${node.name}`, `${refusal.message}; it is not routed`))
    return !refusal
  })
  const former = node.formerCIDRs?.filter((cidr) => refusalOf(cidr, context) === undefined)
  // a node without an agent is perhaps virtual: its address is then that of a pod, or of the node that it is simulated on
  const addrs = node.lacksAgent === undefined ? node.addrs.filter((addr) => !isOwn(addr, node, context, problems)) : []
  const isWhole =
    problems.length === 0 && former?.length === node.formerCIDRs?.length && addrs.length === node.addrs.length
  return { node: isWhole ? node : { ...node, podCIDRs, addrs, ...(former && { formerCIDRs: former }) }, problems }
}

/** A tunnel to an address of this node would end here. */
function isOwn(addr: Addr, { name }: NodeState, { self }: AdmissionContext, problems: Problem[]): boolean {
  if (!self.addrs.some((own) => own.equals(addr))) return false
  problems.push(
    problem('CW1104', `node/${name}`, `address ${addr} is also that of node ${self.name}, which is this one`),
  )
  return true
}

type Refusal = { readonly code: 'CW1105' | 'CW1110' | 'CW1112'; readonly message: string }

function refusalOf(cidr: Prefix, { self, connected, settings }: AdmissionContext): Refusal | undefined {
  const { clusterCIDRs } = settings
  const special = neverPods.find(({ prefix }) => prefix.overlaps(cidr))
  if (special)
    return { code: 'CW1112', message: `pod CIDR ${cidr} overlaps ${special.prefix}, in which nothing is routed` }
  const subnet = connected.find(({ isNodeAddress, prefix }) => isNodeAddress && prefix.overlaps(cidr))
  if (subnet)
    return {
      code: 'CW1112',
      message: `pod CIDR ${cidr} overlaps ${subnet.prefix}, the network of the nodes on ${subnet.device}`,
    }
  const own = self.addrs.find((addr) => cidr.contains(addr))
  if (own) return { code: 'CW1112', message: `pod CIDR ${cidr} covers ${own}, the address of node ${self.name}` }
  const whole = clusterCIDRs.find((each) => cidr.contains(each))
  if (whole) return { code: 'CW1110', message: `pod CIDR ${cidr} holds all of cluster CIDR ${whole}` }
  if (isInside(cidr, clusterCIDRs) || isSettingWrong(self, clusterCIDRs)) return undefined
  return { code: 'CW1105', message: `pod CIDR ${cidr} is outside of the cluster CIDRs (${clusterCIDRs.join(', ')})` }
}

/** Where this node itself, which lives and works, is outside with all it has, the setting is what is wrong, and others go on too. */
function isSettingWrong({ podCIDRs }: NodeState, clusterCIDRs: readonly Prefix[]): boolean {
  return podCIDRs.length > 0 && podCIDRs.every((cidr) => !isInside(cidr, clusterCIDRs))
}

function isInside(cidr: Prefix, clusterCIDRs: readonly Prefix[]): boolean {
  return clusterCIDRs.some((each) => each.contains(cidr))
}
