// What leads packets from and to pods of this node to the chains of their classes: of each class a set of addresses for each family, and chains
// that look for an address in one after the other. A pod that comes or goes is an element; elements of a verdict map would each make the kernel
// walk all rules that the map leads to.
import { type Addr, families, type Family } from '#/lib/addr.ts'
import { type ClassForm, type ClassId, type Form, type LocalPodForm } from '#/policy/form.ts'
import { type Direction } from '#/policy/policy.ts'
import { type NftElements } from '#/wire/nftables/delta.ts'
import { type NftChain, type NftSet } from '#/wire/nftables/ruleset.ts'
import { familiesOf } from './rules.ts'
import { classChain, classSet, shortened, toClassesChain, toSomeClassesChain } from './names.ts'

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

export function classSetShape(direction: Direction, id: ClassId, family: Family): Omit<NftSet, 'elements'> {
  return { name: classSet(direction, id, family), type: family === 4 ? 'ipv4_addr' : 'ipv6_addr', interval: false }
}

/** Without their elements. */
export function classSets(form: Pick<Form, 'families'>, { direction, id }: OfDirection): NftSet[] {
  return familiesOf(form).map((family) => ({ ...classSetShape(direction, id, family), elements: [] }))
}

/** The elements of the entries, by the sets in which they are. */
export function entryElements(direction: Direction, entries: Iterable<Entry>): NftElements[] {
  const elements = new Map<string, { readonly set: Omit<NftSet, 'elements'>; readonly addrs: Addr[] }>()
  for (const { addr, class: id } of entries) {
    const set = classSetShape(direction, id, addr.family)
    const present = elements.get(set.name) ?? { set, addrs: [] }
    elements.set(set.name, present)
    present.addrs.push(addr)
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

/** Of both families, since the base chains lead there. */
function toPartsChains(form: FormOfClasses, direction: Direction, digits: readonly string[]): NftChain[] {
  return families.map((family) => ({
    name: toClassesChain(direction, family),
    rules: (form.families.has(family) ? digits : []).map((digit) => ({
      comment: `classes ${digit}...`,
      match: [],
      action: { kind: 'jump', chain: toSomeClassesChain(direction, family, digit) },
    })),
  }))
}

function partChains(form: FormOfClasses, direction: Direction, digit: string): NftChain[] {
  const classes = [...form.classes.values()].filter((one) => one.direction === direction && digitOf(one.id) === digit)
  classes.sort(({ id: one }, { id: other }) => (one < other ? -1 : 1))
  const comments = classes.map((one) => shortened(policiesText(form, one)))
  const field = direction === 'egress' ? 'saddr' : 'daddr'
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
