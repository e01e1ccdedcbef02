// What policies are evaluated against: pods and namespaces, each reduced to what counts.
import { type Addr } from '#/lib/addr.ts'
import { type Policy, type PortProtocol, type Tier } from './policy.ts'

export type Labels = Readonly<Record<string, string>>

export type NamedPort = { readonly name: string; readonly protocol: PortProtocol; readonly port: number }

export type PolicyPod = {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  /** Of a static pod: the UID by which its kubelet, and so the runtime, knows it. The API server gave the object that stands for it another. */
  readonly configUid?: string
  /** The node that it is bound to; "" before that. */
  readonly node: string
  readonly labels: Labels
  /** None before its network is made. */
  readonly addrs: readonly Addr[]
  readonly namedPorts: readonly NamedPort[]
  /** In its node's network: to policies it is the node. */
  readonly isHostNetwork: boolean
  /** Succeeded or failed: its address may be another pod's already. */
  readonly hasEnded: boolean
}

export type PolicyNamespace = {
  readonly name: string
  readonly labels: Labels
  /** What policies deny to and from its pods is counted and told, and let through. */
  readonly isAudited: boolean
}

/** The annotation of a Namespace that sets `isAudited`. */
export const policyModeAnnotation = 'causeway.dev/network-policy'
export const auditMode = 'audit'

/**
 * Pods by "NAMESPACE/NAME", namespaces by name, policies by key, the addresses of each node by its name: those by which others reach it, and
 * then those of its gateways, from the last of which it talks to pods.
 */
export type PolicyCluster = {
  readonly pods: ReadonlyMap<string, PolicyPod>
  readonly namespaces: ReadonlyMap<string, PolicyNamespace>
  readonly policies: ReadonlyMap<string, Policy>
  readonly nodes: ReadonlyMap<string, readonly Addr[]>
}

/** The policies that select a pod, in the order of evaluation. */
export type SelectingPolicies = Readonly<Record<Tier, readonly Policy[]>>

/**
 * A cluster in which pods are found by address: those that have not ended and have a network of their own. A view that remembers which
 * policies select a pod has `policiesOf`; without it every policy is asked for each packet.
 */
export type PolicyView = PolicyCluster & {
  readonly podAt: (addr: Addr) => PolicyPod | undefined
  readonly policiesOf?: (pod: PolicyPod) => SelectingPolicies
}
