// Namespaces, their groups of pods, and which sets those are members of.
import { type PolicyNamespace, type PolicyPod } from '../cluster.ts'
import { matchesNamespace } from '../match.ts'
import { GroupTable } from './group-table.ts'
import { type NamedPortMembers, type PeerMembers } from './member-set.ts'
import { SetsByLabel } from './sets-by-label.ts'
import { type Group, type Membership, type NamespaceState, type PeerMembership } from './state.ts'

function keyOf({ labels, namedPorts }: PolicyPod): string {
  const texts = Object.keys(labels)
    .sort()
    .flatMap((key) => [key, labels[key]])
  return JSON.stringify([texts, namedPorts.map(({ name, protocol, port }) => [name, protocol, port])])
}

function noteAll(group: Group, set: Membership): void {
  for (const pod of group.pods) for (const addr of pod.pod.addrs) set.noteAsIs(pod, addr)
}

/** All that may have the group, and others. */
function candidatesFor({ namespace: { peerSets, namedPortSets }, labels }: Group): Membership[] {
  return [...peerSets.candidates(labels), ...namedPortSets]
}

export class Groups {
  readonly table = new GroupTable()
  readonly #namespaces = new Map<string, NamespaceState>()
  readonly known = new Map<string, PolicyNamespace>()
  /** Sets that choose namespaces by their labels. */
  readonly #anywhere = new Set<PeerMembership>()
  readonly #named = new Set<NamedPortMembers>()

  #namespace(name: string): NamespaceState {
    const before = this.#namespaces.get(name)
    if (before !== undefined) return before
    const namespace = { name, groups: new Map(), peerSets: new SetsByLabel(), namedPortSets: this.#named }
    this.#namespaces.set(name, namespace)
    return namespace
  }

  #takes(set: PeerMembership, { name }: NamespaceState): boolean {
    return matchesNamespace(set.form.match, name, this.known)
  }

  #forgetIfUnused({ name, groups, peerSets }: NamespaceState): void {
    if (!this.known.has(name) && groups.size === 0 && peerSets.size === 0) this.#namespaces.delete(name)
  }

  groupOf(pod: PolicyPod): Group {
    const namespace = this.#namespace(pod.namespace)
    const key = keyOf(pod)
    const before = namespace.groups.get(key)
    if (before !== undefined) return before
    const { labels, namedPorts } = pod
    const group = this.table.add((number) => ({ number, namespace, key, labels, namedPorts, pods: [] }))
    namespace.groups.set(key, group)
    for (const set of candidatesFor(group)) if (set.takes(group)) set.groups.add(group)
    return group
  }

  removeIfUnused(group: Group): void {
    if (group.pods.length > 0 || group.selection !== undefined) return
    for (const set of candidatesFor(group)) set.groups.delete(group)
    this.table.remove(group)
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
      if (isTaken === namespace.peerSets.has(set)) continue
      if (isTaken) namespace.peerSets.add(set)
      else namespace.peerSets.delete(set)
      for (const group of namespace.groups.values()) {
        if (!set.takes(group)) continue
        noteAll(group, set)
        if (isTaken) set.groups.add(group)
        else set.groups.delete(group)
      }
    }
  }

  /** After the group got its first pod of this node, or lost its last. */
  matchLocalSets(group: Group): void {
    for (const set of this.#named) {
      if (!set.form.isLocal) continue
      if (!set.takes(group)) set.groups.delete(group)
      else set.groups.add(group)
    }
  }

  addPeerSet(set: PeerMembers): void {
    const { namespaces } = set.form.match
    if (namespaces.kind === 'labels') this.#anywhere.add(set)
    const candidates = namespaces.kind === 'name' ? [this.#namespace(namespaces.name)] : this.#namespaces.values()
    for (const namespace of candidates) {
      if (!this.#takes(set, namespace)) continue
      namespace.peerSets.add(set)
      for (const group of namespace.groups.values()) if (set.takes(group)) set.groups.add(group)
    }
  }

  removePeerSet(set: PeerMembers): void {
    this.#anywhere.delete(set)
    const { namespaces } = set.form.match
    const candidates = namespaces.kind === 'name' ? [this.#namespace(namespaces.name)] : this.#namespaces.values()
    for (const namespace of candidates) if (namespace.peerSets.delete(set)) this.#forgetIfUnused(namespace)
  }

  addNamedPortSet(set: NamedPortMembers): void {
    this.#named.add(set)
    for (const { groups } of this.#namespaces.values())
      for (const group of groups.values()) if (set.takes(group)) set.groups.add(group)
  }

  removeNamedPortSet(set: NamedPortMembers): void {
    this.#named.delete(set)
  }
}
