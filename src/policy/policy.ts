// Policies as they are enforced: NetworkPolicy (networking.k8s.io/v1) and ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2) in one
// form. Readers make it from the API's objects and leave nothing open: defaults are filled in, and what cannot be enforced as written is
// closed as the specification says.
import { type Prefix } from '#/lib/addr.ts'
import { type LabelSelector } from '#/model/label-selector.ts'

export const directions = ['ingress', 'egress'] as const
/** As a policy says it: `ingress` is what its pods receive, `egress` is what they send. */
export type Direction = (typeof directions)[number]

/** Evaluated in this order. Admin and Baseline are the tiers of ClusterNetworkPolicy. */
export const tiers = ['Admin', 'NetworkPolicy', 'Baseline'] as const
export type Tier = (typeof tiers)[number]

/** The protocols that have ports in the API, with their numbers. */
export const portProtocols = { TCP: 6, UDP: 17, SCTP: 132 } as const
export type PortProtocol = keyof typeof portProtocols
export const portProtocolNames = Object.keys(portProtocols) as readonly PortProtocol[]

export function isPortProtocol(value: unknown): value is PortProtocol {
  return portProtocolNames.some((name) => name === value)
}

/** `accept` and `deny` end the evaluation; `pass` goes on with the next tier. Rules of NetworkPolicies are all `accept`. */
export type RuleAction = 'accept' | 'deny' | 'pass'

export type NamespaceMatch =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'labels'; readonly selector: LabelSelector }

/** Pods by their labels and those of their namespace. Pods in their node's network and pods that have ended are never among them. */
export type PodMatch = { readonly namespaces: NamespaceMatch; readonly pods: LabelSelector }

export type PeerMatch =
  | ({ readonly kind: 'pods' } & PodMatch)
  /** Addresses, also those of pods: all of `cidr` but what is in `except`. */
  | { readonly kind: 'block'; readonly cidr: Prefix; readonly except: readonly Prefix[] }

export type PortMatch =
  /** `first` and `last` are both in the range; 0 to 65535 is any port of the protocol. */
  | { readonly kind: 'range'; readonly protocol: PortProtocol; readonly first: number; readonly last: number }
  /** The port that the destination pod calls so. Without a protocol: of each protocol in which it has one of that name. */
  | { readonly kind: 'name'; readonly protocol?: PortProtocol; readonly name: string }

/** `peers` are the senders of what is received, the receivers of what is sent. An empty list matches nothing, `any` everything. */
export type PolicyRule = {
  /** Its place in the object: spec.ingress[index] or spec.egress[index]. */
  readonly index: number
  /** ClusterNetworkPolicy: its name, when it has one. */
  readonly name?: string
  readonly action: RuleAction
  readonly peers: readonly PeerMatch[] | 'any'
  /** `any` includes protocols without ports, such as ICMP. */
  readonly ports: readonly PortMatch[] | 'any'
}

export type Policy = {
  /** "networkpolicy/NAMESPACE/NAME" or "clusternetworkpolicy/NAME". */
  readonly key: string
  readonly tier: Tier
  /** Of tiers Admin and Baseline: lower comes first; with the same, the lower name. */
  readonly priority: number
  readonly subject: PodMatch
  /**
   * The rules of each direction that the policy is about, in order. A direction that is absent is none of its concern; an empty list of a
   * NetworkPolicy isolates.
   */
  readonly rules: Readonly<Partial<Record<Direction, readonly PolicyRule[]>>>
}

/** What in an object cannot be enforced as it is written, and what is done instead. */
export type PolicyFault = {
  /** "spec.ingress[0].from[1].ipBlock.cidr" */
  readonly field: string
  /** Why, with the value, and what that means for packets. */
  readonly why: string
}

/** `policy` is absent when nothing of the object can be enforced. */
export type PolicyReading = { readonly policy?: Policy; readonly faults: readonly PolicyFault[] }

/** The place of a rule, by which counters, logs and drop reasons name it: "networkpolicy/shop/db ingress 0". */
export type RuleRef = { readonly policy: string; readonly direction: Direction; readonly index: number }

export function ruleRefText({ policy, direction, index }: RuleRef): string {
  return `${policy} ${direction} ${index}`
}
