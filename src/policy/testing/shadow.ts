// A form that is kept up to date by nothing but its changes, as tables and maps in the kernel are.
import { type Addr } from '#/lib/addr.ts'
import { type Form, type FormChange, type NamedPortMember } from '../form.ts'

const portText = ({ addr, protocol, port }: NamedPortMember): string => `${addr} ${protocol} ${port}`

function apply<T>(map: Map<string, T>, changes: ReadonlyMap<string, T | undefined>): void {
  for (const [key, value] of changes) {
    if (value === undefined) map.delete(key)
    else map.set(key, value)
  }
}

/** Adds what must not be there yet, and takes out what must be there. */
function change(set: Set<string> | undefined, added: readonly string[], removed: readonly string[]): void {
  if (set === undefined) throw new Error('members of a set that is not known')
  for (const each of added) {
    if (set.has(each)) throw new Error(`${each} is in the set already`)
    set.add(each)
  }
  for (const each of removed) if (!set.delete(each)) throw new Error(`${each} is not in the set`)
}

const sorted = (texts: Iterable<string>): string[] => [...texts].sort()

/** The whole of a form as plain values. */
export function plainOf(form: Form): unknown {
  const shadow = new Shadow()
  shadow.follow(form, {
    ...form,
    newFamilies: new Set(),
    members: new Map(),
    namedPorts: new Map(),
  })
  return shadow.plain
}

export class Shadow {
  readonly #parts = {
    locals: new Map<string, unknown>(),
    classes: new Map<string, unknown>(),
    policies: new Map<string, unknown>(),
    peerSets: new Map<string, unknown>(),
    namedPortSets: new Map<string, unknown>(),
  }
  readonly #members = new Map<string, Set<string>>()
  readonly #namedPorts = new Map<string, Set<string>>()

  follow(form: Form, changes: FormChange): void {
    for (const part of ['locals', 'classes', 'policies', 'peerSets', 'namedPortSets'] as const)
      apply<unknown>(this.#parts[part], changes[part])
    for (const [id, set] of changes.peerSets) {
      if (set === undefined) this.#members.delete(id)
      else if (set.kind === 'pods') this.#members.set(id, new Set(form.membersOf(id).keys()))
    }
    for (const [id, set] of changes.namedPortSets) {
      if (set === undefined) this.#namedPorts.delete(id)
      else this.#namedPorts.set(id, new Set(form.namedPortsOf(id).map(portText)))
    }
    const textsOf = (addrs: readonly Addr[]): string[] => addrs.map(String)
    for (const [id, { added, removed }] of changes.members)
      change(this.#members.get(id), textsOf(added), textsOf(removed))
    for (const [id, { added, removed }] of changes.namedPorts)
      change(this.#namedPorts.get(id), added.map(portText), removed.map(portText))
  }

  get plain(): unknown {
    const plain = <T>(map: ReadonlyMap<string, T>, of: (value: T) => unknown = (value) => value): unknown =>
      sorted(map.keys()).map((key) => [key, of(map.get(key)!)])
    const whole = {
      ...Object.fromEntries(Object.entries(this.#parts).map(([part, map]) => [part, plain(map)])),
      members: plain(this.#members, sorted),
      namedPorts: plain(this.#namedPorts, sorted),
    }
    // addresses and prefixes become text: how far they have been formatted is no difference
    return JSON.parse(JSON.stringify(whole))
  }
}
