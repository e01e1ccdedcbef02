// A set of the form whose members come from pods. It keeps no list of them: they follow from the groups that are in it and the pods'
// addresses. What may be different since the last time is noted when it changes.
import { type Addr } from '#/lib/addr.ts'
import { selects } from '#/model/label-selector.ts'
import { type Members, type NamedPortMember, type NamedPortSet, type PeerSet } from '../form.ts'
import { type Addresses, isLocalAt } from './addresses.ts'
import { type Group, type Membership, type PeerMembership, type PodState } from './state.ts'

type Noted<T> = { readonly addr: Addr; readonly member: T; readonly wasMember: boolean }

/** Where sets with notes are found when changes are taken. */
export type WithNotes = Set<MemberSet<unknown>>

export abstract class MemberSet<T> implements Membership {
  readonly groups = new Set<Group>()
  /** How many policies need it. */
  users = 0
  /** Others know it, with its members as of then. */
  isTaken = false
  readonly #noted = new Map<string, Noted<T>>()
  readonly #addresses: Addresses
  readonly #withNotes: WithNotes

  constructor(addresses: Addresses, withNotes: WithNotes) {
    this.#addresses = addresses
    this.#withNotes = withNotes
  }

  abstract takes(group: Group): boolean
  protected abstract at(pod: PodState, addr: Addr): readonly T[]
  protected abstract keyOf(member: T): string

  note(pod: PodState, addr: Addr, wasMember: boolean): void {
    if (this.isTaken) for (const member of this.at(pod, addr)) this.#note(addr, member, () => wasMember)
  }

  noteAsIs(pod: PodState, addr: Addr): void {
    if (!this.isTaken) return
    for (const member of this.at(pod, addr)) this.#note(addr, member, () => this.#has(addr, this.keyOf(member)))
  }

  #note(addr: Addr, member: T, wasMember: () => boolean): void {
    const key = this.keyOf(member)
    if (this.#noted.has(key)) return
    this.#noted.set(key, { addr, member, wasMember: wasMember() })
    this.#withNotes.add(this)
  }

  #has(addr: Addr, key: string): boolean {
    return this.#addresses
      .podsAt(addr)
      .some(
        (pod) =>
          pod.group !== undefined &&
          this.groups.has(pod.group) &&
          this.at(pod, addr).some((member) => this.keyOf(member) === key),
      )
  }

  /** What is different since the last time. */
  take(): Members<T> {
    const added: T[] = []
    const removed: T[] = []
    for (const [key, { addr, member, wasMember }] of this.#noted) {
      const isMember = this.#has(addr, key)
      if (isMember !== wasMember) (isMember ? added : removed).push(member)
    }
    this.#noted.clear()
    return { added, removed }
  }

  /** As of the last time. */
  members(): Map<string, T> {
    const members = new Map<string, T>()
    for (const { pods } of this.groups)
      for (const pod of pods)
        for (const addr of pod.pod.addrs) {
          if (!this.#addresses.podsAt(addr).includes(pod)) continue
          for (const member of this.at(pod, addr)) members.set(this.keyOf(member), member)
        }
    for (const [key, { member, wasMember }] of this.#noted) {
      if (wasMember) members.set(key, member)
      else members.delete(key)
    }
    return members
  }
}

type PodsPeerSet = Extract<PeerSet, { kind: 'pods' }>

export class PeerMembers extends MemberSet<Addr> implements PeerMembership {
  readonly form: PodsPeerSet

  constructor(form: PodsPeerSet, addresses: Addresses, withNotes: WithNotes) {
    super(addresses, withNotes)
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

  constructor(form: NamedPortSet, addresses: Addresses, withNotes: WithNotes) {
    super(addresses, withNotes)
    this.form = form
  }

  takes({ namedPorts }: Group): boolean {
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
