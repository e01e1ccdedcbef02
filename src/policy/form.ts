// The form that nftables rules and eBPF maps are compiled from. It has only what pods of this node need, and says it in three layers that
// change at different speeds: members of sets (with every pod), classes of pods and policies (with labels and policies), nothing else.
//
//   local pod ─► class (one per direction) ─► policies in order ─► rules ─► peer sets, port sets
import { type Addr, type Family, type Prefix } from '#/lib/addr.ts'
import { type Direction, type PodMatch, type PortProtocol, type RuleAction, type RuleRef, type Tier } from './policy.ts'

/** Names of sets, classes and policies are hashes over what they mean, so that an agent without memory finds its own again. */
export type PeerSetId = string
export type ClassId = string

export type PeerSet =
  /** Its members are the addresses of the pods that match, and change with them. */
  | { readonly kind: 'pods'; readonly id: PeerSetId; readonly match: PodMatch }
  /** All blocks of one rule, without what they except; never changes. Sorted, not overlapping, and as few as can be; some may touch. */
  | { readonly kind: 'blocks'; readonly id: PeerSetId; readonly prefixes: readonly Prefix[] }

/** Sorted; ranges of one protocol neither overlap nor touch. */
export type PortRange = { readonly protocol: PortProtocol; readonly first: number; readonly last: number }

/** The ports that pods call by one name: members are (address of the pod, protocol, port). */
export type NamedPortSetId = string
/** Of either kind of set. */
export type SetId = string
export type NamedPortSet = {
  readonly id: NamedPortSetId
  readonly name: string
  /** Absent: of each protocol. */
  readonly protocol?: PortProtocol
  /** Only pods of this node are members. Rules of ingress need no others, and the cluster may have thousands of them. */
  readonly isLocal?: true
}
export type NamedPortMember = { readonly addr: Addr; readonly protocol: PortProtocol; readonly port: number }

export type FormRule = {
  readonly ref: RuleRef
  readonly action: RuleAction
  /** The packet's other end is in one of the sets; none: the rule matches nothing. */
  readonly peers: readonly PeerSetId[] | 'any'
  /** Its destination port is in one of the ranges, or its destination in one of the sets of named ports. */
  readonly ports: { readonly ranges: readonly PortRange[]; readonly names: readonly NamedPortSetId[] } | 'any'
}

/** One direction of one policy. `id` is a hash over the policy's key and direction, and stays when its rules change. */
export type PolicyForm = {
  readonly id: string
  readonly policy: string
  readonly tier: Tier
  readonly direction: Direction
  readonly rules: readonly FormRule[]
}

/**
 * What pods of this node with the same policies in one direction have in common. `policies` are ids of `PolicyForm`, those of Admin and
 * Baseline in the order of evaluation. A pod to which no policy applies in a direction has no class there.
 */
export type ClassForm = {
  readonly id: ClassId
  readonly direction: Direction
  readonly policies: Readonly<Record<Tier, readonly string[]>>
  readonly isAudited: boolean
}

/** A pod of this node. `ingress` and `egress` are absent when nothing applies to it in that direction. */
export type LocalPodForm = {
  /** "NAMESPACE/NAME" */
  readonly pod: string
  readonly hostDevice: string
  readonly addrs: readonly Addr[]
  readonly ingress?: ClassId
  readonly egress?: ClassId
}

export type Form = {
  /** In which pods have addresses, or have had: in others no set has members. */
  readonly families: ReadonlySet<Family>
  readonly locals: ReadonlyMap<string, LocalPodForm>
  readonly classes: ReadonlyMap<ClassId, ClassForm>
  readonly policies: ReadonlyMap<string, PolicyForm>
  readonly peerSets: ReadonlyMap<PeerSetId, PeerSet>
  readonly namedPortSets: ReadonlyMap<NamedPortSetId, NamedPortSet>
  /** The members of a peer set of kind `pods`, by the text of the address. Made anew for each call: hold on to it for a loop. */
  readonly membersOf: (id: PeerSetId) => ReadonlyMap<string, Addr>
  readonly namedPortsOf: (id: NamedPortSetId) => readonly NamedPortMember[]
}

export type Members<T> = { readonly added: readonly T[]; readonly removed: readonly T[] }

/** What is different since the last one was taken. Objects that are new have their members in `Form`, not here. */
export type FormChange = {
  /** In which a pod has an address for the first time. */
  readonly newFamilies: ReadonlySet<Family>
  /** By host device: now, or undefined when it is gone. */
  readonly locals: ReadonlyMap<string, LocalPodForm | undefined>
  /** New, or gone (undefined). A class never changes: it becomes another class. */
  readonly classes: ReadonlyMap<ClassId, ClassForm | undefined>
  /** New, with other rules, or gone. */
  readonly policies: ReadonlyMap<string, PolicyForm | undefined>
  readonly peerSets: ReadonlyMap<PeerSetId, PeerSet | undefined>
  readonly namedPortSets: ReadonlyMap<NamedPortSetId, NamedPortSet | undefined>
  /** Of sets that were there before and still are. */
  readonly members: ReadonlyMap<PeerSetId, Members<Addr>>
  readonly namedPorts: ReadonlyMap<NamedPortSetId, Members<NamedPortMember>>
}
