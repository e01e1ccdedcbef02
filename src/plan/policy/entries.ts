// What leads packets from and to pods of this node to the chains of their classes: of each class a set of addresses for each family, and chains
// that look for an address in one after the other. A pod that comes or goes is an element; elements of a verdict map would each make the kernel
// walk all rules that the map leads to.
import { type Addr, families, type Family } from '#/lib/addr.ts'
import { type ClassForm, type ClassId, type Form, type LocalPodForm } from '#/policy/form.ts'
import { type Direction, directions } from '#/policy/policy.ts'
import { type NftElements } from '#/wire/nftables/delta.ts'
import { type NftChain, type NftRule, type NftSet } from '#/wire/nftables/ruleset.ts'
import { familiesOf } from './rules.ts'
import { classChain, classSet, policedAddrSet, shortened, toClassesChain, toSomeClassesChain } from './names.ts'

/** The address of a pod, and the class in which it is. */
export type Entry = { readonly addr: Addr; readonly device: string; readonly class: ClassId }

/** The entries of pods by the text of the address, which is in one set of a direction: of two pods with one address the last one counts. */
export function entriesOf(
  direction: Direction,
  locals: Iterable<readonly [device: string, local: LocalPodForm | undefined]>,
): Map<string, Entry> {
  const entries = new Map<string, Entry>()
  for (const [device, local] of locals) {
    const id = local?.[direction]
    if (local === undefined || id === undefined) continue
    for (const addr of local.addrs) entries.set(String(addr), { addr, device, class: id })
  }
  return entries
}

type SetShape = Omit<NftSet, 'elements'>

const setOfAddrs = (name: string, family: Family): SetShape => ({
  name,
  type: family === 4 ? 'ipv4_addr' : 'ipv6_addr',
  interval: false,
})

const classSetShape = (direction: Direction, id: ClassId, family: Family): SetShape =>
  setOfAddrs(classSet(direction, id, family), family)

const policedShape = (direction: Direction, family: Family): SetShape =>
  setOfAddrs(policedAddrSet(direction, family), family)

/** The sets of addresses of all pods that are in any class, with their elements. */
export function policedSets(form: Pick<Form, 'families' | 'locals'>): NftSet[] {
  return directions.flatMap((direction) => {
    const addrs = [...entriesOf(direction, form.locals).values()].map(({ addr }) => addr)
    return familiesOf(form).map((family) => ({
      ...policedShape(direction, family),
      elements: addrs.filter((addr) => addr.family === family),
    }))
  })
}

/** Without their elements. */
export function classSets(form: Pick<Form, 'families'>, { direction, id }: OfDirection): NftSet[] {
  return familiesOf(form).map((family) => ({ ...classSetShape(direction, id, family), elements: [] }))
}

/** The elements of the entries in the sets of their classes. */
export function entryElements(direction: Direction, entries: Iterable<Entry>): NftElements[] {
  return elementsBySet(entries, ({ addr, class: id }) => classSetShape(direction, id, addr.family))
}

/** The elements of the entries in the sets of all pods that are in any class. */
export function policedElements(direction: Direction, entries: Iterable<Entry>): NftElements[] {
  return elementsBySet(entries, ({ addr }) => policedShape(direction, addr.family))
}

function elementsBySet(entries: Iterable<Entry>, setOf: (entry: Entry) => SetShape): NftElements[] {
  const elements = new Map<string, { readonly set: SetShape; readonly addrs: Addr[] }>()
  for (const entry of entries) {
    const set = setOf(entry)
    const present = elements.get(set.name) ?? { set, addrs: [] }
    elements.set(set.name, present)
    present.addrs.push(entry.addr)
  }
  return [...elements.values()].map(({ set, addrs }) => ({
    kind: 'ranges',
    set,
    ranges: addrs.map((addr) => ({ first: addr, last: addr })),
  }))
}

/**
 * The chains of a direction that lead to its classes: for each family one that jumps to parts, and the parts, by the first digit of classes' ids.
 * A class that comes or goes has one part written anew: with each rule the kernel looks for its set among all of the table.
 * All are in the order of their ids, so that any agent writes the same.
 */
export function toClassesChains(form: FormOfClasses, direction: Direction): NftChain[] {
  const digits = digitsOf(form.classes.values(), direction)
  return [...toPartsChains(form, direction, digits), ...digits.flatMap((digit) => partChains(form, direction, digit))]
}

type FormOfClasses = Pick<Form, 'classes' | 'policies' | 'families'>
type OfDirection = Pick<ClassForm, 'id' | 'direction'>

const digitOf = (id: ClassId): string => id.slice(0, 1)

/** Of which parts there are, sorted. */
function digitsOf(classes: Iterable<OfDirection>, direction: Direction): string[] {
  const digits = new Set<string>()
  for (const one of classes) if (one.direction === direction) digits.add(digitOf(one.id))
  return [...digits].sort()
}

const fieldOf = (direction: Direction): 'saddr' | 'daddr' => (direction === 'egress' ? 'saddr' : 'daddr')

/**
 * Of both families, since the base chains lead there. A packet that the kernel judges while a transaction is committed may have been looked for in one
 * set before it and in another after it: so one whose pod goes from one class to another can be found in neither, and must not pass.
 */
function toPartsChains(form: FormOfClasses, direction: Direction, digits: readonly string[]): NftChain[] {
  return families.map((family) => {
    const name = toClassesChain(direction, family)
    if (!form.families.has(family)) return { name, rules: [] }
    const policed = {
      kind: 'addrSet',
      field: fieldOf(direction),
      family,
      set: policedAddrSet(direction, family),
    } as const
    return {
      name,
      rules: [
        { comment: 'pods without policies', match: [{ ...policed, not: true }], action: { kind: 'return' } },
        ...digits.map((digit): NftRule => ({
          comment: `classes ${digit}...`,
          match: [],
          action: { kind: 'jump', chain: toSomeClassesChain(direction, family, digit) },
        })),
        {
          comment: 'a pod that changes its class at this moment',
          match: [policed],
          action: { kind: 'drop', counter: true },
        },
      ],
    }
  })
}

function partChains(form: FormOfClasses, direction: Direction, digit: string): NftChain[] {
  const classes = [...form.classes.values()].filter((one) => one.direction === direction && digitOf(one.id) === digit)
  classes.sort(({ id: one }, { id: other }) => (one < other ? -1 : 1))
  const comments = classes.map((one) => shortened(policiesText(form, one)))
  const field = fieldOf(direction)
  return familiesOf(form).map((family) => ({
    name: toSomeClassesChain(direction, family, digit),
    rules: classes.map(({ id }, index) => ({
      comment: comments[index]!,
      match: [{ kind: 'addrSet', field, family, set: classSet(direction, id, family) }],
      action: { kind: 'goto', chain: classChain(direction, id) },
    })),
  }))
}

export type ToClassesChange = {
  readonly added: readonly NftChain[]
  readonly changed: readonly NftChain[]
  readonly gone: readonly string[]
}

/** What differs in these chains after classes have come and gone; `before` are all of before. */
export function toClassesChange(
  form: FormOfClasses,
  direction: Direction,
  before: Iterable<OfDirection>,
  touched: Iterable<OfDirection>,
): ToClassesChange {
  const [was, is] = [digitsOf(before, direction), digitsOf(form.classes.values(), direction)]
  const due = digitsOf(touched, direction)
  const chainsOf = (digits: readonly string[]): NftChain[] =>
    digits.flatMap((digit) => partChains(form, direction, digit))
  return {
    added: chainsOf(due.filter((digit) => !was.includes(digit) && is.includes(digit))),
    changed: [
      ...chainsOf(due.filter((digit) => was.includes(digit) && is.includes(digit))),
      ...(was.join() === is.join() ? [] : toPartsChains(form, direction, is)),
    ],
    gone: due
      .filter((digit) => was.includes(digit) && !is.includes(digit))
      .flatMap((digit) => familiesOf(form).map((family) => toSomeClassesChain(direction, family, digit))),
  }
}

function policiesText({ policies }: Pick<Form, 'policies'>, { policies: tiers, isAudited }: ClassForm): string {
  const [first, ...others] = [...tiers.Admin, ...tiers.NetworkPolicy, ...tiers.Baseline]
  const name = (first === undefined ? undefined : policies.get(first)?.policy) ?? 'no policy'
  return `${isAudited ? 'audited: ' : ''}${name}${others.length === 0 ? '' : ` and ${others.length} more`}`
}
