// What the agent knows of the cluster's nodes: the API's Node objects while it has them, and of its own node also what it
// knew last, from disk, so that pods are wired after a restart with the API away.
import { type Reflector } from '#/cluster/reflector.ts'
import { Addr, Prefix } from '#/lib/addr.ts'
import { internalAddressesOf, type KubeNode, podCIDRsOf } from '#/model/kubernetes.ts'
import { type NodeState, type Problem } from '#/model/network.ts'
import { type EndpointStore } from './endpoints.ts'

export type NodeView = {
  /** undefined until this node's Node object has pod CIDRs, or ever had. */
  readonly self: NodeState | undefined
  readonly nodes: readonly NodeState[]
  readonly problems: readonly Problem[]
  /** True once the whole list of nodes has been seen: only then may anything be swept. */
  readonly inSync: boolean
}

const settingName = 'self'

function toState(node: KubeNode): { state: NodeState; problems: Problem[] } {
  const { prefixes: podCIDRs, problems: cidrProblems } = podCIDRsOf(node)
  const { addrs, problems: addressProblems } = internalAddressesOf(node)
  const name = node.metadata.name
  const messages = [...cidrProblems, ...addressProblems]
  return {
    state: { name, podCIDRs, addrs },
    problems: messages.map((message) => ({ object: `node/${name}`, message })),
  }
}

function remembered(store: EndpointStore, name: string): NodeState | undefined {
  const text = store.setting(settingName)
  if (text === undefined) return undefined
  const saved = JSON.parse(text) as { name: string; podCIDRs: string[]; addrs: string[] }
  if (saved.name !== name) return undefined
  return { name, podCIDRs: saved.podCIDRs.map(Prefix.parse), addrs: saved.addrs.map(Addr.parse) }
}

/** Reads the view and remembers this node's part of it. */
export function viewNodes(nodeName: string, reflector: Reflector<KubeNode>, store: EndpointStore): NodeView {
  const states = [...reflector.objects.values()].map(toState)
  const nodes = states.map(({ state }) => state)
  const problems = states.flatMap((each) => each.problems)
  const current = nodes.find(({ name }) => name === nodeName)
  if (current && current.podCIDRs.length > 0) {
    const text = JSON.stringify(current)
    if (store.setting(settingName) !== text) store.setSetting(settingName, text)
    return { self: current, nodes, problems, inSync: reflector.inSync }
  }
  // a Node object that is gone or has lost its CIDRs does not end the pods that run here
  const self = remembered(store, nodeName)
  const why = current ? 'it has no pod CIDR yet: the controller gives it one' : 'there is no Node object of this name'
  return {
    self,
    nodes,
    problems: reflector.inSync ? [...problems, { object: `node/${nodeName}`, message: why }] : problems,
    inSync: reflector.inSync,
  }
}
