// What the index remembers of a cluster. Pods with the same namespace, labels and named ports are one group, and selectors are asked once
// for a group: a deployment of a thousand pods costs them as much as one pod.
import { type Addr } from '#/lib/addr.ts'
import { type Labels, type NamedPort, type PolicyPod } from '../cluster.ts'
import { type ClassForm } from '../form.ts'
import { type Direction, type Policy, type PodMatch } from '../policy.ts'
import { type CompiledPolicy } from './compile.ts'
import { type GroupSet } from './group-table.ts'
import { type SetsByLabel } from './sets-by-label.ts'

/** A pod's interface on this node. Its addresses count, not those in the pod's status, which comes later. */
export type LocalPod = {
  readonly hostDevice: string
  readonly namespace: string
  readonly name: string
  /** As the runtime says it; "" when it does not: then the name alone counts. */
  readonly uid: string
  readonly addrs: readonly Addr[]
}

/** Also of a namespace that is not known yet: pods or policies that name it may come earlier. */
export type NamespaceState = {
  readonly name: string
  readonly groups: Map<string, Group>
  /** The peer sets that may have members here: their namespaces match, their pods' selectors may. */
  readonly peerSets: SetsByLabel
  /** The sets of named ports, which are the same for all namespaces. */
  readonly namedPortSets: ReadonlySet<Membership>
}

export type Group = {
  /** Its place in the table of groups. */
  readonly number: number
  readonly namespace: NamespaceState
  readonly key: string
  readonly labels: Labels
  readonly namedPorts: readonly NamedPort[]
  /** In no order. */
  pods: PodState[]
  /** While it has pods of this node, and for a while after that. */
  selection?: Selection
}

export type PodState = {
  /** As the API says it. */
  told: PolicyPod
  /** With the addresses that it has. */
  pod: PolicyPod
  /** Gone from the API. While this node still has it, it is what it was. */
  isGone: boolean
  /** Mostly none, sometimes two for a moment: a sandbox that is made anew. */
  locals: readonly LocalState[]
  /** None: it is in its node's network, has ended, or is gone. */
  group: Group | undefined
  /** Its place among the pods of its group. */
  place: number
}

export type LocalState = {
  readonly local: LocalPod
  /** Unknown until the API tells of it. */
  pod?: PodState
  selection?: Selection
}

/** The policies that select the pods of a group on this node. It stays for a while after the last of them. */
export type Selection = {
  readonly group: Group
  readonly locals: Set<LocalState>
  readonly policies: Set<PolicyState>
  classes: Readonly<Partial<Record<Direction, ClassForm>>>
}

export type PolicyState = {
  policy: Policy
  readonly selections: Set<Selection>
  /** While it has selections: each direction of which it has something to say. */
  compiled: readonly CompiledPolicy[]
}

/** A set whose members come from pods. */
export type Membership = {
  readonly groups: GroupSet
  readonly takes: (group: Group) => boolean
  /** Remembers that what `pod` has at `addr` was in the set, or was not, before something changes; the first word counts. */
  readonly note: (pod: PodState, addr: Addr, wasMember: boolean) => void
  /** The same of what is in the set by any pod that has the address now. */
  readonly noteAsIs: (pod: PodState, addr: Addr) => void
}

export type PeerMembership = Membership & { readonly form: { readonly match: PodMatch } }
