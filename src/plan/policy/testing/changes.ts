// Changes from one form to another, and what a change does to a table, both made in the plainest way.
import { type Form, type FormChange, type Members } from '#/policy/form.ts'
import { type NftDelta, type NftElements } from '#/wire/nftables/delta.ts'
import { type NftTable } from '#/wire/nftables/ruleset.ts'

/** What is different in `after`. */
export function changeBetween(before: Form, after: Form): FormChange {
  const both = <V>(a: ReadonlyMap<string, V>, b: ReadonlyMap<string, V>): string[] =>
    [...a.keys()].filter((id) => b.has(id))
  return {
    newFamilies: new Set(),
    locals: changedIn(before.locals, after.locals),
    classes: changedIn(before.classes, after.classes),
    policies: changedIn(before.policies, after.policies),
    peerSets: presence(before.peerSets, after.peerSets),
    namedPortSets: presence(before.namedPortSets, after.namedPortSets),
    members: new Map(
      both(before.peerSets, after.peerSets).map((id) => [
        id,
        members([...before.membersOf(id).values()], [...after.membersOf(id).values()]),
      ]),
    ),
    namedPorts: new Map(
      both(before.namedPortSets, after.namedPortSets).map((id) => [
        id,
        members(before.namedPortsOf(id), after.namedPortsOf(id)),
      ]),
    ),
  }
}

function changedIn<V>(before: ReadonlyMap<string, V>, after: ReadonlyMap<string, V>): Map<string, V | undefined> {
  const ids = new Set([...before.keys(), ...after.keys()])
  const isChanged = (id: string): boolean => plain(before.get(id)) !== plain(after.get(id))
  return new Map([...ids].filter(isChanged).map((id) => [id, after.get(id)]))
}

function presence<V>(before: ReadonlyMap<string, V>, after: ReadonlyMap<string, V>): Map<string, V | undefined> {
  const changed = [...changedIn(before, after)]
  return new Map(changed.filter(([id]) => before.has(id) !== after.has(id)))
}

function members<T>(before: readonly T[], after: readonly T[]): Members<T> {
  const without = (some: readonly T[], others: readonly T[]): T[] => {
    const rest = new Set(others.map(plain))
    return some.filter((each) => !rest.has(plain(each)))
  }
  return { added: without(after, before), removed: without(before, after) }
}

/** A value as text: addresses and prefixes as such. */
function plain(value: unknown): string {
  return JSON.stringify(value) ?? ''
}

/** A table as text by object, in which the order of elements and objects does not count, and that of rules does. */
export type TableText = Map<string, Set<string> | readonly string[]>

export function tableText({ sets, keySets = [], chains }: NftTable): TableText {
  return new Map<string, Set<string> | readonly string[]>([
    ...sets.map(({ name, elements }) => [`set ${name}`, new Set(elements.map(String))] as const),
    ...keySets.map(({ name, elements }) => [`set ${name}`, new Set(elements.map((key) => key.join(' . ')))] as const),
    ...chains.map(({ name, rules }) => [`chain ${name}`, rules.map(plain)] as const),
  ])
}

/** Does what the kernel would do with a delta, and throws where it would refuse. */
export function applyDelta(table: TableText, delta: NftDelta): void {
  const add = (name: string, contents: Set<string> | readonly string[]): void => {
    if (table.has(name)) throw new Error(`EEXIST ${name}`)
    table.set(name, contents)
  }
  const drop = (name: string): void => {
    if (!table.delete(name)) throw new Error(`ENOENT ${name}`)
  }
  const { addSets = [], addKeySets = [], addChains = [], setRules = new Map<string, never>() } = delta
  const added = tableText({
    family: 'inet',
    name: '',
    sets: addSets,
    keySets: addKeySets,
    chains: addChains,
  })
  for (const [name, contents] of added) add(name, contents)
  for (const [chain, rules] of setRules) {
    drop(`chain ${chain}`)
    add(`chain ${chain}`, rules.map(plain))
  }
  for (const elements of delta.deleteElements ?? []) {
    const set = elementsIn(table, elements)
    for (const text of keysOf(elements)) if (!set.delete(text)) throw new Error(`ENOENT ${text}`)
  }
  for (const elements of delta.addElements ?? []) {
    const set = elementsIn(table, elements)
    for (const text of keysOf(elements)) set.add(text)
  }
  for (const name of delta.deleteSets ?? []) drop(`set ${name}`)
  for (const name of delta.deleteChains ?? []) drop(`chain ${name}`)
  for (const chain of danglingChains(table)) throw new Error(`EBUSY chain ${chain}`)
}

/** Chains that something leads to and that are not there. */
function danglingChains(table: TableText): string[] {
  const texts = [...table.values()].flatMap((contents) => [...contents])
  const targets = texts.flatMap((text) => [...text.matchAll(/"chain":"([^"]+)"/g)].map(([, chain]) => chain!))
  const sets = texts.flatMap((text) => [...text.matchAll(/"set":"([^"]+)"/g)].map(([, set]) => set!))
  return [...targets.filter((chain) => !table.has(`chain ${chain}`)), ...sets.filter((set) => !table.has(`set ${set}`))]
}

function elementsIn(table: TableText, elements: NftElements): Set<string> {
  const { name } = elements.set
  const set = table.get(`set ${name}`)
  if (!(set instanceof Set)) throw new Error(`ENOENT set ${name}`)
  return set
}

function keysOf(elements: NftElements): string[] {
  if (elements.kind === 'ranges') return elements.ranges.map(({ first }) => String(first))
  return elements.keys.map((key) => key.join(' . '))
}
