// What a change of the form changes in the table of family inet. It names elements and chains alone, so it costs what it touches, and all else
// goes on counting. It is one transaction: who is in a set or map is there together with what the set or map is for.
import { families, type Addr, type Family } from '#/lib/addr.ts'
import { type ClassForm, type Form, type FormChange, type Members } from '#/policy/form.ts'
import { type Direction, directions } from '#/policy/policy.ts'
import { type NftDelta, type NftElements } from '#/wire/nftables/delta.ts'
import { type NftChain, type NftRule } from '#/wire/nftables/ruleset.ts'
import { classChains, policyChainOf } from './class-chains.ts'
import { classSets, entriesOf, type Entry, entryElements, policedElements, toClassesChange } from './entries.ts'
import {
  itselfKeys,
  itselfShape,
  peerSetObjects,
  podSetShape,
  portKey,
  portSetObjects,
  portSetShape,
} from './inet-table.ts'
import { touchedClasses, type Written, type WrittenClass } from './written.ts'

/** The change of the table that `written` tells of. The form is the one after the change. */
export function policyDelta(form: Form, change: FormChange, written: Written): NftDelta {
  const classes = classChanges(change, written)
  const chains = chainChanges(form, change, written, classes)
  const peerSets = [...change.peerSets]
  const portSets = [...change.namedPortSets]
  const entries = entryChanges(change, written)
  return {
    addSets: [
      // the kernel looks for a set among all of the table, beginning with the oldest: those of pods that come and go are first
      ...classes.added.flatMap((one) => classSets(form, one)),
      ...peerSets.flatMap(([id, set]) => (set && !written.peerSets.has(id) ? peerSetObjects(form, set) : [])),
    ],
    addKeySets: portSets.flatMap(([id, set]) => (set && !written.portSets.has(id) ? portSetObjects(form, set) : [])),
    addChains: chains.added,
    setRules: chains.changed,
    addElements: [
      ...[...change.members].flatMap(([id, { added }]) => memberElements(id, added)),
      ...[...change.namedPorts].flatMap(([id, { added }]) => portElements(id, added)),
      ...itselfChanges(change, written, 'added'),
      ...entries.added,
    ],
    deleteElements: [
      ...[...change.members].flatMap(([id, { removed }]) => memberElements(id, removed)),
      ...[...change.namedPorts].flatMap(([id, { removed }]) => portElements(id, removed)),
      ...itselfChanges(change, written, 'removed'),
      ...entries.removed,
    ],
    deleteChains: chains.gone,
    deleteSets: [
      ...peerSets.flatMap(([id, set]) => (set ? [] : (written.peerSets.get(id) ?? []))),
      ...portSets.flatMap(([id, set]) => (set ? [] : (written.portSets.get(id) ?? []))),
      ...classes.gone.flatMap((one) => classSets(form, one)).map(({ name }) => name),
    ],
  }
}

type ClassChanges = { readonly added: readonly ClassForm[]; readonly gone: readonly WrittenClass[] }

function classChanges({ classes }: FormChange, written: Written): ClassChanges {
  return {
    added: [...classes].flatMap(([id, one]) => (one && !written.classes.has(id) ? one : [])),
    gone: [...classes].flatMap(([id, one]) => (one ? [] : (written.classes.get(id) ?? []))),
  }
}

type ChainChanges = {
  readonly added: NftChain[]
  readonly changed: Map<string, readonly NftRule[]>
  readonly gone: string[]
}

function chainChanges(form: Form, change: FormChange, written: Written, classes: ClassChanges): ChainChanges {
  const changes: ChainChanges = { added: [], changed: new Map(), gone: [] }
  const compare = (chains: readonly NftChain[], before: readonly string[]): void => {
    for (const chain of chains) {
      if (before.includes(chain.name)) changes.changed.set(chain.name, chain.rules)
      else changes.added.push(chain)
    }
    changes.gone.push(...before.filter((name) => !chains.some((chain) => chain.name === name)))
  }
  for (const [id, policy] of change.policies) {
    const isShared = policy?.tier === 'NetworkPolicy'
    compare(isShared ? [policyChainOf(form, policy)] : [], written.policies.get(id) ?? [])
  }
  for (const id of touchedClasses(form, change)) {
    const one = form.classes.get(id)
    compare(one ? classChains(form, one) : [], written.classes.get(id)?.chains ?? [])
  }
  const touched = [...classes.added, ...classes.gone]
  for (const direction of new Set(touched.map((one) => one.direction))) {
    const { added, changed, gone } = toClassesChange(form, direction, written.classes.values(), touched)
    changes.added.push(...added)
    for (const { name, rules } of changed) changes.changed.set(name, rules)
    changes.gone.push(...gone)
  }
  return changes
}

function ofFamily<T>(items: readonly T[], family: Family, addrOf: (item: T) => Addr): T[] {
  return items.filter((item) => addrOf(item).family === family)
}

function memberElements(id: string, addrs: readonly Addr[]): NftElements[] {
  return families.flatMap((family): NftElements[] => {
    const ranges = ofFamily(addrs, family, (addr) => addr).map((addr) => ({ first: addr, last: addr }))
    return ranges.length === 0 ? [] : [{ kind: 'ranges', set: podSetShape(id, family), ranges }]
  })
}

function portElements(id: string, members: Members<Parameters<typeof portKey>[0]>['added']): NftElements[] {
  return families.flatMap((family): NftElements[] => {
    const keys = ofFamily(members, family, ({ addr }) => addr).map(portKey)
    return keys.length === 0 ? [] : [{ kind: 'keys', set: portSetShape(id, family), keys }]
  })
}

/** The pairs of addresses of pods that changed; a pair that stays is in neither list. */
function itselfChanges({ locals }: FormChange, written: Written, which: keyof Members<unknown>): NftElements[] {
  return families.flatMap((family): NftElements[] => {
    const text = (key: readonly unknown[]): string => key.join(' ')
    const now = [...locals.values()].flatMap((local) => (local ? itselfKeys(local, family) : []))
    const before = [...locals.keys()].flatMap((device) => {
      const local = written.locals.get(device)
      return local ? itselfKeys(local, family) : []
    })
    const [some, others] = which === 'added' ? [now, before] : [before, now]
    const rest = new Set(others.map(text))
    const keys = some.filter((key) => !rest.has(text(key)))
    return keys.length === 0 ? [] : [{ kind: 'keys', set: itselfShape(family), keys }]
  })
}

type EntryChanges = { readonly added: NftElements[]; readonly removed: NftElements[] }

/** A pod that goes from one class to another leaves the set of the one and enters that of the other at once. */
function entryChanges(change: FormChange, written: Written): EntryChanges {
  const changes = directions.map((direction) => {
    const { added, removed } = entriesBetween(direction, change, written)
    const [come, gone] = [withoutThose(added, removed), withoutThose(removed, added)]
    return {
      added: [...entryElements(direction, added), ...policedElements(direction, come)],
      removed: [...entryElements(direction, removed), ...policedElements(direction, gone)],
    }
  })
  return { added: changes.flatMap(({ added }) => added), removed: changes.flatMap(({ removed }) => removed) }
}

/** The entries whose addresses are in none of the others: pods that stay in any class stay policed. */
function withoutThose(entries: readonly Entry[], others: readonly Entry[]): Entry[] {
  const rest = new Set(others.map(({ addr }) => String(addr)))
  return entries.filter(({ addr }) => !rest.has(String(addr)))
}

function entriesBetween(
  direction: Direction,
  { locals }: FormChange,
  written: Written,
): Record<'added' | 'removed', Entry[]> {
  const before = written.entries[direction]
  const wanted = entriesOf(direction, locals)
  const removed = new Map<string, Entry>()
  for (const device of locals.keys()) {
    for (const addr of written.locals.get(device)?.addrs ?? []) {
      const entry = before.get(String(addr))
      // another pod may have the address by now
      if (entry?.device === device && !wanted.has(String(addr))) removed.set(String(addr), entry)
    }
  }
  const added: Entry[] = []
  for (const [addr, entry] of wanted) {
    const present = before.get(addr)
    if (present?.class === entry.class) continue
    added.push(entry)
    if (present) removed.set(addr, present)
  }
  return { added, removed: [...removed.values()] }
}
