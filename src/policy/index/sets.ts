// The sets that policies of this node's pods need, counted by those policies.
import { type Addr } from '#/lib/addr.ts'
import {
  type Form,
  type FormChange,
  type Members,
  type NamedPortMember,
  type NamedPortSet,
  type PeerSet,
} from '../form.ts'
import { type Addresses } from './addresses.ts'
import { type CompiledPolicy } from './compile.ts'
import { type Groups } from './groups.ts'
import { type MemberSet, NamedPortMembers, PeerMembers, type Surroundings } from './member-set.ts'

/** A block set has no members that change. */
type BlockSet = { readonly form: Extract<PeerSet, { kind: 'blocks' }>; users: number }

type SetsChange = Pick<FormChange, 'peerSets' | 'namedPortSets' | 'members' | 'namedPorts'>

export class FormSets {
  readonly #groups: Groups
  readonly #surroundings: Surroundings
  readonly #peers = new Map<string, PeerMembers | BlockSet>()
  readonly #named = new Map<string, NamedPortMembers>()
  /** Sets that got their first user or lost their last since the last time. */
  readonly #changedPeers = new Set<string>()
  readonly #changedNamed = new Set<string>()
  /** As of the last time. */
  readonly peerSets = new Map<string, PeerSet>()
  readonly namedPortSets = new Map<string, NamedPortSet>()

  constructor(addresses: Addresses, groups: Groups) {
    this.#groups = groups
    this.#surroundings = { table: groups.table, addresses, withNotes: new Set() }
  }

  acquire({ peerSets, namedPortSets }: CompiledPolicy): void {
    for (const set of peerSets.values()) {
      const state = this.#peers.get(set.id) ?? this.#addPeerSet(set)
      if (state.users++ === 0) this.#changedPeers.add(set.id)
    }
    for (const set of namedPortSets.values()) {
      const state = this.#named.get(set.id) ?? this.#addNamedPortSet(set)
      if (state.users++ === 0) this.#changedNamed.add(set.id)
    }
  }

  /** A set without users stays until the next time: mostly it is needed again at once. */
  release({ peerSets, namedPortSets }: CompiledPolicy): void {
    for (const id of peerSets.keys()) if (--this.#peers.get(id)!.users === 0) this.#changedPeers.add(id)
    for (const id of namedPortSets.keys()) if (--this.#named.get(id)!.users === 0) this.#changedNamed.add(id)
  }

  #addPeerSet(form: PeerSet): PeerMembers | BlockSet {
    const state = form.kind === 'blocks' ? { form, users: 0 } : new PeerMembers(form, this.#surroundings)
    this.#peers.set(form.id, state)
    if (state instanceof PeerMembers) this.#groups.addPeerSet(state)
    return state
  }

  #addNamedPortSet(form: NamedPortSet): NamedPortMembers {
    const state = new NamedPortMembers(form, this.#surroundings)
    this.#named.set(form.id, state)
    this.#groups.addNamedPortSet(state)
    return state
  }

  take(): SetsChange {
    // before sets go, and before new ones are known as taken
    const members = new Map<string, Members<Addr>>()
    const namedPorts = new Map<string, Members<NamedPortMember>>()
    const { withNotes } = this.#surroundings
    for (const set of withNotes) {
      if (set instanceof PeerMembers) collect(members, set.form.id, set)
      else if (set instanceof NamedPortMembers) collect(namedPorts, set.form.id, set)
    }
    withNotes.clear()
    return { peerSets: this.#takePeerSets(), namedPortSets: this.#takeNamedPortSets(), members, namedPorts }
  }

  #takePeerSets(): Map<string, PeerSet | undefined> {
    const changes = new Map<string, PeerSet | undefined>()
    for (const id of this.#changedPeers) {
      const state = this.#peers.get(id)!
      if (state.users === 0) {
        this.#peers.delete(id)
        if (state instanceof PeerMembers) this.#groups.removePeerSet(state)
        if (this.peerSets.delete(id)) changes.set(id, undefined)
      } else if (!this.peerSets.has(id)) {
        if (state instanceof PeerMembers) state.isTaken = true
        this.peerSets.set(id, state.form)
        changes.set(id, state.form)
      }
    }
    this.#changedPeers.clear()
    return changes
  }

  #takeNamedPortSets(): Map<string, NamedPortSet | undefined> {
    const changes = new Map<string, NamedPortSet | undefined>()
    for (const id of this.#changedNamed) {
      const state = this.#named.get(id)!
      if (state.users === 0) {
        this.#named.delete(id)
        this.#groups.removeNamedPortSet(state)
        if (this.namedPortSets.delete(id)) changes.set(id, undefined)
      } else if (!this.namedPortSets.has(id)) {
        state.isTaken = true
        this.namedPortSets.set(id, state.form)
        changes.set(id, state.form)
      }
    }
    this.#changedNamed.clear()
    return changes
  }

  /** How many elements each set has, as of the last time; found as they are asked for. */
  *sizes(): Generator<number, void> {
    for (const [id, set] of this.peerSets) {
      const state = this.#peers.get(id)
      if (set.kind === 'blocks') yield set.prefixes.length
      else if (state instanceof PeerMembers) yield state.size
    }
    for (const id of this.namedPortSets.keys()) yield this.#named.get(id)!.size
  }

  readonly membersOf: Form['membersOf'] = (id) => {
    const set = this.#peers.get(id)
    return set instanceof PeerMembers ? set.members() : new Map<string, Addr>()
  }

  readonly namedPortsOf: Form['namedPortsOf'] = (id) => [...(this.#named.get(id)?.members().values() ?? [])]
}

function collect<T>(changes: Map<string, Members<T>>, id: string, set: MemberSet<T>): void {
  // of a set without users nobody wants to know any more
  const members = set.take()
  if (set.users > 0 && members.added.length + members.removed.length > 0) changes.set(id, members)
}
