// Compares the desired table with the kernel's, and finds the change that makes them equal.
import { resultOf } from '#/lib/steps.ts'
import {
  type NftActual,
  type NftActualChain,
  type NftActualHook,
  type NftActualRule,
  type NftActualSet,
} from './actual.ts'
import { keyChangeTexts, keyedDifferences, type NftKeyChange, keySetChange } from './compare-keys.ts'
import { compileRule } from './compile.ts'
import { fingerprint } from './expressions.ts'
import { hookNumbers, keyTypes, policyNumbers, SET_INTERVAL } from './numbers.ts'
import { compareAddresses, compareRanges, type NftSetChange, rangesOf, rangeText } from './ranges.ts'
import { commentOf } from './render-rule.ts'
import { type NftChain, type NftFamily, type NftRule, type NftSet, type NftTable } from './ruleset.ts'

/** The change that turns `actual` into the desired table: none, other elements in its sets, or a new table. */
export type NftChange =
  | { readonly kind: 'none' }
  | { readonly kind: 'elements'; readonly sets: readonly NftSetChange[] }
  | { readonly kind: 'replace' }

export function sameTable(desired: NftTable, actual: NftActual | undefined): boolean {
  return nftChange(desired, actual).kind === 'none'
}

/**
 * Finds the change for a table that is small: where not just addresses in its sets differ it is made anew, so that order and number of rules are
 * right by construction. `nftDelta` finds one that leaves the rest of a table alone.
 */
export function nftChange(desired: NftTable, actual: NftActual | undefined): NftChange {
  if (actual === undefined || structureDifferences(desired, actual).length > 0) return { kind: 'replace' }
  if (keyChanges(desired, actual).some(({ missing, extra }) => missing.length + extra.length > 0))
    return { kind: 'replace' }
  const sets = setChanges(desired, actual).filter(({ missing, extra }) => missing.length + extra.length > 0)
  return sets.length === 0 ? { kind: 'none' } : { kind: 'elements', sets }
}

/** A line for each difference, for people; none when the tables are equal. */
export function differences(desired: NftTable, actual: NftActual | undefined): string[] {
  if (actual === undefined) return [`table ${desired.family} ${desired.name} missing`]
  return [
    ...structureDifferences(desired, actual),
    ...setChanges(desired, actual).flatMap(elementLines),
    ...keyChanges(desired, actual).flatMap(keyLines),
  ]
}

function structureDifferences(desired: NftTable, actual: NftActual): string[] {
  return [
    ...(actual.flags === 0 ? [] : [`table ${actual.name} has flags ${actual.flags} (1 is dormant) which are not ours`]),
    ...compareNamed('set', anySetsOf(desired), actual.sets, (set, other) => set.differences(other)),
    ...compareNamed('chain', desired.chains, actual.chains, (chain, other) =>
      chainDifferences(chain, other, desired.family),
    ),
  ]
}

type AnySet = { readonly name: string; readonly differences: (actual: NftActualSet) => string[] }

/** All sets of a table, each with how to compare what is not its elements. */
export function anySetsOf({ sets, keySets = [] }: NftTable): AnySet[] {
  return [
    ...sets.map((set) => ({ name: set.name, differences: (other: NftActualSet) => setDifferences(set, other) })),
    ...keySets.map((set) => ({
      name: set.name,
      differences: (other: NftActualSet) => keyedDifferences(set, other),
    })),
  ]
}

type Named = { readonly name: string }

function compareNamed<D extends Named, A extends Named>(
  kind: string,
  desired: readonly D[],
  actual: readonly A[],
  compare: (desired: D, actual: A) => string[],
): string[] {
  const present = new Map(actual.map((object) => [object.name, object]))
  const wanted = new Set(desired.map(({ name }) => name))
  return [
    ...desired.flatMap((object) => {
      const other = present.get(object.name)
      return other === undefined ? [`${kind} ${object.name} missing`] : compare(object, other)
    }),
    ...actual.filter(({ name }) => !wanted.has(name)).map(({ name }) => `${kind} ${name} is not ours`),
  ]
}

function setDifferences(set: NftSet, actual: NftActualSet): string[] {
  if (actual.keyType !== keyTypes[set.type]) return [`set ${set.name} is not of type ${set.type}`]
  if (actual.flags !== (set.interval ? SET_INTERVAL : 0)) {
    return [`set ${set.name} has flags ${actual.flags}, should be ${set.interval ? 'an interval set' : 'without any'}`]
  }
  if (actual.counter !== (set.counter ?? false)) {
    return [`set ${set.name} ${actual.counter ? 'counts' : 'does not count'} packets by element`]
  }
  return actual.ranges === undefined ? [`set ${set.name} has elements of a kind that is not ours`] : []
}

/** The changes of sets that exist and are of the right kind, and whose elements are to be compared. */
function setChanges(desired: NftTable, actual: NftActual): NftSetChange[] {
  const present = new Map(actual.sets.map((set) => [set.name, set]))
  return desired.sets.flatMap((set) => {
    const other = present.get(set.name)
    return set.dynamic || other === undefined || setDifferences(set, other).length > 0
      ? []
      : [resultOf(setChange(set, other))]
  })
}

/** The change of one set that is of the right kind, found in steps. */
export function* setChange(set: NftSet, { ranges = [] }: NftActualSet): Generator<void, NftSetChange, void> {
  return { set, ...(set.interval ? compareRanges(rangesOf(set), ranges) : yield* compareAddresses(set, ranges)) }
}

/** As setChanges, of sets of keys, found in steps. */
export function* keySetChanges(
  { keySets = [] }: Pick<NftTable, 'keySets'>,
  present: ReadonlyMap<string, NftActualSet>,
): Generator<void, NftKeyChange[], void> {
  const changes: NftKeyChange[] = []
  for (const set of keySets) {
    const other = present.get(set.name)
    if (!set.dynamic && other && keyedDifferences(set, other).length === 0)
      changes.push(yield* keySetChange(set, other))
  }
  return changes
}

function keyChanges(desired: NftTable, actual: NftActual): NftKeyChange[] {
  return resultOf(keySetChanges(desired, new Map(actual.sets.map((set) => [set.name, set]))))
}

const shownElements = 8

function elementLines({ set, missing, extra }: NftSetChange): string[] {
  return lines(set.name, missing.map(rangeText), extra.map(rangeText))
}

function keyLines(change: NftKeyChange): string[] {
  const { missing, extra } = keyChangeTexts(change)
  return lines(change.set.name, missing, extra)
}

function lines(set: string, missing: readonly string[], extra: readonly string[]): string[] {
  return [...shorten(`set ${set} lacks`, missing), ...shorten(`set ${set} has what is not ours:`, extra)]
}

function shorten(what: string, elements: readonly string[]): string[] {
  const shown = elements.slice(0, shownElements).map((element) => `${what} ${element}`)
  return elements.length > shownElements ? [...shown, `${what} ${elements.length - shownElements} more`] : shown
}

function chainDifferences(chain: NftChain, actual: NftActualChain, family: NftFamily): string[] {
  return [...hookDifferences(chain, actual), ...ruleDifferences(chain, actual.rules, family)]
}

/** What of the chain is not as it should be, except for its rules. */
export function hookDifferences(
  { name, hook, policy = 'accept' }: NftChain,
  { hook: actual }: NftActualChain,
): string[] {
  if (hook === undefined || actual === undefined) {
    if (hook === undefined && actual === undefined) return []
    return [`chain ${name} ${hook === undefined ? 'has a hook' : 'has no hook'}`]
  }
  const should: NftActualHook = {
    type: hook.type,
    number: hookNumbers[hook.hook],
    priority: hook.priority,
    policy: policyNumbers[policy],
    devices: hook.device === undefined ? [] : [hook.device],
  }
  return (['type', 'number', 'priority', 'policy', 'devices'] as const)
    .map((field) => ({ field, is: hookText(actual, field), due: hookText(should, field) }))
    .filter(({ is, due }) => is !== due)
    .map(({ field, is, due }) => `chain ${name} has ${field === 'number' ? 'hook' : field} ${is}, should be ${due}`)
}

function hookText(hook: NftActualHook, field: keyof NftActualHook): string {
  if (field === 'policy') return hook.policy === policyNumbers.accept ? 'accept' : 'drop'
  return field === 'devices' ? hook.devices.join(',') || 'none' : String(hook[field])
}

type Marks = { readonly comment: string | undefined; readonly does: string }

/** What rules are known by, by the rule: a plan hands over the same rules again and again. */
const knownMarks = { inet: new WeakMap(), netdev: new WeakMap(), bridge: new WeakMap() } as const satisfies Record<
  NftFamily,
  WeakMap<NftRule, Marks>
>

function marksOf(rule: NftRule, family: NftFamily): Marks {
  const known: WeakMap<NftRule, Marks> = knownMarks[family]
  let marks = known.get(rule)
  if (marks === undefined) {
    marks = { comment: commentOf(rule, family), does: fingerprint(compileRule(rule, family)) }
    known.set(rule, marks)
  }
  return marks
}

const isSame = (a: Marks, b: Marks): boolean => a.comment === b.comment && a.does === b.does

/** Whether a chain has just these rules, in this order. */
export function hasRules(rules: readonly NftRule[], actual: readonly NftActualRule[], family: NftFamily): boolean {
  return rules.length === actual.length && rules.every((rule, index) => isSame(marksOf(rule, family), actual[index]!))
}

function ruleDifferences(chain: NftChain, actual: readonly NftActualRule[], family: NftFamily): string[] {
  if (hasRules(chain.rules, actual, family)) return []
  const wanted = chain.rules.map((rule) => marksOf(rule, family))
  const rest = [...actual]
  const take = (matches: (rule: NftActualRule) => boolean): boolean => {
    const index = rest.findIndex(matches)
    if (index >= 0) rest.splice(index, 1)
    return index >= 0
  }
  const unmatched = wanted.filter((rule) => !take((other) => isSame(rule, other)))
  const found = unmatched.map((rule) => {
    const isEdited = take(({ comment }) => comment === rule.comment)
    return `rule ${isEdited ? 'edited' : 'missing'} in chain ${chain.name}: ${rule.comment}`
  })
  found.push(...rest.map(({ comment, does }) => `rule in chain ${chain.name} is not ours: ${comment ?? does}`))
  return found.length > 0 ? found : [`rules of chain ${chain.name} are out of order`]
}
