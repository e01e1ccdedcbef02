// A set of the form whose members come from pods. It keeps no list of them: they follow from the groups that are in it and the pods'
// addresses. What may be different since the last time is noted when it changes.
import { type Addr } from '#/lib/addr.ts'
import { selects } from '#/model/label-selector.ts'
import { type Members, type NamedPortMember, type NamedPortSet, type PeerSet } from '../form.ts'
import { type Addresses, isLocalAt } from './addresses.ts'
import { GroupSet, type GroupTable } from './group-table.ts'
import { type Group, type Membership, type PeerMembership, type PodState } from './state.ts'

type Noted<T> = { readonly addr: Addr; readonly member: T; readonly wasMember: boolean }

/** What all sets have in common. */
export type Surroundings = {
  readonly table: GroupTable
  readonly addresses: Addresses
  /** Where sets with notes are found when changes are taken. */
  readonly withNotes: Set<MemberSet<unknown>>
}

export abstract class MemberSet<T> implements Membership {
  readonly groups = new GroupSet()
  /** How many policies need it. */
  users = 0
  /** Others know it, with its members as of then. */
  isTaken = false
  #size: number | undefined
  /** Mostly nothing, and there are a thousand sets. */
  #noted: Map<string, Noted<T>> | undefined
  readonly #table: GroupTable
  readonly #addresses: Addresses
  readonly #withNotes: Surroundings['withNotes']

  constructor({ table, addresses, withNotes }: Surroundings) {
    this.#table = table
    this.#addresses = addresses
    this.#withNotes = withNotes
  }

  abstract takes(group: Group): boolean
  protected abstract at(pod: PodState, addr: Addr): readonly T[]
  protected abstract keyOf(member: T): string

  note(pod: PodState, addr: Addr, wasMember: boolean): void {
    if (!this.isTaken) return
    for (const member of this.at(pod, addr)) {
      const key = this.keyOf(member)
      if (!this.#noted?.has(key)) this.#remember(key, { addr, member, wasMember })
    }
  }

  noteAsIs(pod: PodState, addr: Addr): void {
    if (!this.isTaken) return
    for (const member of this.at(pod, addr)) {
      const key = this.keyOf(member)
      if (!this.#noted?.has(key)) this.#remember(key, { addr, member, wasMember: this.#has(addr, key) })
    }
  }

  #remember(key: string, noted: Noted<T>): void {
    this.#noted ??= new Map()
    this.#noted.set(key, noted)
    this.#withNotes.add(this)
  }

  #has(addr: Addr, key: string): boolean {
    for (const pod of this.#addresses.podsAt(addr)) {
      if (pod.group === undefined || !this.groups.has(pod.group)) continue
      for (const member of this.at(pod, addr)) if (this.keyOf(member) === key) return true
    }
    return false
  }

  /** What is different since the last time. */
  take(): Members<T> {
    const added: T[] = []
    const removed: T[] = []
    for (const [key, { addr, member, wasMember }] of this.#noted ?? []) {
      const isMember = this.#has(addr, key)
      if (isMember !== wasMember) (isMember ? added : removed).push(member)
    }
    this.#noted = undefined
    if (this.#size !== undefined) this.#size += added.length - removed.length
    return { added, removed }
  }

  /** How many members it has as of the last time: counted when somebody asks for the first time, which takes some microseconds for each. */
  get size(): number {
    return (this.#size ??= this.members().size)
  }

  /** As of the last time. */
  members(): Map<string, T> {
    const members = new Map<string, T>()
    for (const { pods } of this.#table.in(this.groups))
      for (const pod of pods)
        for (const addr of pod.pod.addrs) {
          if (!this.#addresses.podsAt(addr).includes(pod)) continue
          for (const member of this.at(pod, addr)) members.set(this.keyOf(member), member)
        }
    for (const [key, { member, wasMember }] of this.#noted ?? []) {
      if (wasMember) members.set(key, member)
      else members.delete(key)
    }
    return members
  }
}

type PodsPeerSet = Extract<PeerSet, { kind: 'pods' }>

export class PeerMembers extends MemberSet<Addr> implements PeerMembership {
  readonly form: PodsPeerSet

  constructor(form: PodsPeerSet, surroundings: Surroundings) {
    super(surroundings)
    this.form = form
  }

  /** Of groups in namespaces that it takes. */
  takes({ labels }: Group): boolean {
    return selects(this.form.match.pods, labels)
  }

  protected at(_: PodState, addr: Addr): readonly Addr[] {
    return [addr]
  }

  protected keyOf(addr: Addr): string {
    return `${addr}`
  }
}

export class NamedPortMembers extends MemberSet<NamedPortMember> {
  readonly form: NamedPortSet

  constructor(form: NamedPortSet, surroundings: Surroundings) {
    super(surroundings)
    this.form = form
  }

  takes({ namedPorts, selection }: Group): boolean {
    if (this.form.isLocal && selection === undefined) return false
    return namedPorts.some(({ name }) => name === this.form.name)
  }

  protected at(pod: PodState, addr: Addr): readonly NamedPortMember[] {
    const { name, protocol, isLocal } = this.form
    if (isLocal && !isLocalAt(pod, addr)) return []
    return pod.pod.namedPorts
      .filter((port) => port.name === name && (protocol === undefined || port.protocol === protocol))
      .map((port) => ({ addr, protocol: port.protocol, port: port.port }))
  }

  protected keyOf({ addr, protocol, port }: NamedPortMember): string {
    return `${addr} ${protocol} ${port}`
  }
}
