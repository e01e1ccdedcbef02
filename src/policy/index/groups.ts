// Namespaces, their groups of pods, and which sets those are members of.
import { type PolicyNamespace, type PolicyPod } from '../cluster.ts'
import { matchesNamespace } from '../match.ts'
import { type NamedPortMembers, type PeerMembers } from './member-set.ts'
import { type Group, type Membership, type NamespaceState, type PeerMembership } from './state.ts'

const none: readonly Membership[] = []

function keyOf({ labels, namedPorts }: PolicyPod): string {
  const texts = Object.keys(labels)
    .sort()
    .flatMap((key) => [key, labels[key]])
  return JSON.stringify([texts, namedPorts.map(({ name, protocol, port }) => [name, protocol, port])])
}

function enter(group: Group, set: Membership): void {
  set.groups.add(group)
  group.memberships = [...group.memberships, set]
}

function leave(group: Group, set: Membership): void {
  if (set.groups.delete(group)) group.memberships = group.memberships.filter((each) => each !== set)
}

function noteAll(group: Group, set: Membership): void {
  for (const pod of group.pods) for (const addr of pod.pod.addrs) set.noteAsIs(pod, addr)
}

export class Groups {
  readonly #namespaces = new Map<string, NamespaceState>()
  readonly known = new Map<string, PolicyNamespace>()
  /** Sets that choose namespaces by their labels. */
  readonly #anywhere = new Set<PeerMembership>()
  readonly #named = new Set<NamedPortMembers>()

  #namespace(name: string): NamespaceState {
    const before = this.#namespaces.get(name)
    if (before !== undefined) return before
    const namespace = { name, groups: new Map(), sets: new Set<PeerMembership>() }
    this.#namespaces.set(name, namespace)
    return namespace
  }

  #takes(set: PeerMembership, { name }: NamespaceState): boolean {
    return matchesNamespace(set.form.match, name, this.known)
  }

  #forgetIfUnused({ name, groups, sets }: NamespaceState): void {
    if (!this.known.has(name) && groups.size === 0 && sets.size === 0) this.#namespaces.delete(name)
  }

  find(pod: PolicyPod): Group | undefined {
    return this.#namespaces.get(pod.namespace)?.groups.get(keyOf(pod))
  }

  groupOf(pod: PolicyPod): Group {
    const namespace = this.#namespace(pod.namespace)
    const key = keyOf(pod)
    const before = namespace.groups.get(key)
    if (before !== undefined) return before
    const { labels, namedPorts } = pod
    const group: Group = { namespace, key, labels, namedPorts, pods: new Set(), memberships: none }
    namespace.groups.set(key, group)
    for (const sets of [namespace.sets, this.#named]) for (const set of sets) if (set.takes(group)) enter(group, set)
    return group
  }

  removeIfEmpty(group: Group): void {
    if (group.pods.size > 0) return
    for (const set of group.memberships) set.groups.delete(group)
    group.namespace.groups.delete(group.key)
    this.#forgetIfUnused(group.namespace)
  }

  /** Returns what the index knows of the namespace. */
  setNamespace(namespace: PolicyNamespace): NamespaceState {
    this.known.set(namespace.name, namespace)
    const state = this.#namespace(namespace.name)
    this.#matchSets(state)
    return state
  }

  removeNamespace(name: string): NamespaceState | undefined {
    this.known.delete(name)
    const state = this.#namespaces.get(name)
    if (state === undefined) return undefined
    this.#matchSets(state)
    this.#forgetIfUnused(state)
    return state
  }

  #matchSets(namespace: NamespaceState): void {
    for (const set of this.#anywhere) {
      const isTaken = this.#takes(set, namespace)
      if (isTaken === namespace.sets.has(set)) continue
      if (isTaken) namespace.sets.add(set)
      else namespace.sets.delete(set)
      for (const group of namespace.groups.values()) {
        if (!set.takes(group)) continue
        noteAll(group, set)
        if (isTaken) enter(group, set)
        else leave(group, set)
      }
    }
  }

  addPeerSet(set: PeerMembers): void {
    const { namespaces } = set.form.match
    if (namespaces.kind === 'labels') this.#anywhere.add(set)
    const candidates = namespaces.kind === 'name' ? [this.#namespace(namespaces.name)] : this.#namespaces.values()
    for (const namespace of candidates) {
      if (!this.#takes(set, namespace)) continue
      namespace.sets.add(set)
      for (const group of namespace.groups.values()) if (set.takes(group)) enter(group, set)
    }
  }

  removePeerSet(set: PeerMembers): void {
    this.#anywhere.delete(set)
    for (const group of set.groups) leave(group, set)
    const { namespaces } = set.form.match
    const candidates = namespaces.kind === 'name' ? [this.#namespace(namespaces.name)] : this.#namespaces.values()
    for (const namespace of candidates) if (namespace.sets.delete(set)) this.#forgetIfUnused(namespace)
  }

  addNamedPortSet(set: NamedPortMembers): void {
    this.#named.add(set)
    for (const { groups } of this.#namespaces.values())
      for (const group of groups.values()) if (set.takes(group)) enter(group, set)
  }

  removeNamedPortSet(set: NamedPortMembers): void {
    this.#named.delete(set)
    for (const group of set.groups) leave(group, set)
  }
}
