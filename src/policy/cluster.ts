// What policies are evaluated against: pods and namespaces, each reduced to what counts.
import { type Addr } from '#/lib/addr.ts'
import { type Policy, type PortProtocol } from './policy.ts'

export type Labels = Readonly<Record<string, string>>

export type NamedPort = { readonly name: string; readonly protocol: PortProtocol; readonly port: number }

export type PolicyPod = {
  readonly namespace: string
  readonly name: string
  readonly uid: string
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

/** Pods by "NAMESPACE/NAME", namespaces by name, policies by key, the addresses of each node by its name. */
export type PolicyCluster = {
  readonly pods: ReadonlyMap<string, PolicyPod>
  readonly namespaces: ReadonlyMap<string, PolicyNamespace>
  readonly policies: ReadonlyMap<string, Policy>
  readonly nodes: ReadonlyMap<string, readonly Addr[]>
}

/** A cluster in which pods are found by address: those that have not ended and have a network of their own. */
export type PolicyView = PolicyCluster & { readonly podAt: (addr: Addr) => PolicyPod | undefined }
