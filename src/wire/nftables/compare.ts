// Compares the desired table with the kernel's, and finds the change that makes them equal.
import {
  type NftActual,
  type NftActualChain,
  type NftActualHook,
  type NftActualRule,
  type NftActualSet,
} from './actual.ts'
import { compileRule } from './compile.ts'
import { fingerprint } from './expressions.ts'
import { hookNumbers, keyTypes, policyNumbers, SET_INTERVAL } from './numbers.ts'
import { compareAddresses, compareRanges, type NftSetChange, type Range, rangesOf, rangeText } from './ranges.ts'
import { commentOf } from './render.ts'
import { type NftChain, type NftFamily, type NftSet, type NftTable } from './ruleset.ts'

/** The change that turns `actual` into the desired table: none, other elements in its sets, or a new table. */
export type NftChange =
  | { readonly kind: 'none' }
  | { readonly kind: 'elements'; readonly sets: readonly NftSetChange[] }
  | { readonly kind: 'replace' }

export function sameTable(desired: NftTable, actual: NftActual | undefined): boolean {
  return nftChange(desired, actual).kind === 'none'
}

/** Finds the change. Rules are never edited one by one: in a table made anew their order and number are right by construction. */
export function nftChange(desired: NftTable, actual: NftActual | undefined): NftChange {
  if (actual === undefined || structureDifferences(desired, actual).length > 0) return { kind: 'replace' }
  const sets = setChanges(desired, actual).filter(({ missing, extra }) => missing.length + extra.length > 0)
  return sets.length === 0 ? { kind: 'none' } : { kind: 'elements', sets }
}

/** A line for each difference, for people; none when the tables are equal. */
export function differences(desired: NftTable, actual: NftActual | undefined): string[] {
  if (actual === undefined) return [`table ${desired.family} ${desired.name} missing`]
  return [...structureDifferences(desired, actual), ...setChanges(desired, actual).flatMap(elementLines)]
}

function structureDifferences(desired: NftTable, actual: NftActual): string[] {
  return [
    ...(actual.flags === 0 ? [] : [`table ${actual.name} has flags ${actual.flags} (1 is dormant) which are not ours`]),
    ...compareNamed('set', desired.sets, actual.sets, setDifferences),
    ...compareNamed('chain', desired.chains, actual.chains, (chain, other) =>
      chainDifferences(chain, other, desired.family),
    ),
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

/** The changes of sets that exist and are of the right kind. */
function setChanges(desired: NftTable, actual: NftActual): NftSetChange[] {
  return desired.sets.flatMap((set) => {
    const other = actual.sets.find(({ name }) => name === set.name)
    if (other?.ranges === undefined || setDifferences(set, other).length > 0) return []
    const { ranges } = other
    return [{ set, ...(set.interval ? compareRanges(rangesOf(set), ranges) : compareAddresses(set, ranges)) }]
  })
}

const shownElements = 8

function elementLines({ set, missing, extra }: NftSetChange): string[] {
  return [...shorten(`set ${set.name} lacks`, missing), ...shorten(`set ${set.name} has what is not ours:`, extra)]
}

function shorten(what: string, ranges: readonly Range[]): string[] {
  const lines = ranges.slice(0, shownElements).map((range) => `${what} ${rangeText(range)}`)
  return ranges.length > shownElements ? [...lines, `${what} ${ranges.length - shownElements} more`] : lines
}

function chainDifferences(chain: NftChain, actual: NftActualChain, family: NftFamily): string[] {
  return [...hookDifferences(chain, actual), ...ruleDifferences(chain, actual.rules, family)]
}

function hookDifferences({ name, hook, policy = 'accept' }: NftChain, { hook: actual }: NftActualChain): string[] {
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

function ruleDifferences(chain: NftChain, actual: readonly NftActualRule[], family: NftFamily): string[] {
  const wanted = chain.rules.map((rule) => ({
    comment: commentOf(rule, family),
    does: fingerprint(compileRule(rule, family)),
  }))
  const isSame = (a: { comment: string | undefined; does: string }, b: typeof a): boolean =>
    a.comment === b.comment && a.does === b.does
  if (wanted.length === actual.length && wanted.every((rule, index) => isSame(rule, actual[index]!))) return []

  const rest = [...actual]
  const take = (matches: (rule: NftActualRule) => boolean): boolean => {
    const index = rest.findIndex(matches)
    if (index >= 0) rest.splice(index, 1)
    return index >= 0
  }
  const unmatched = wanted.filter((rule) => !take((other) => isSame(rule, other)))
  const lines = unmatched.map((rule) => {
    const isEdited = take(({ comment }) => comment === rule.comment)
    return `rule ${isEdited ? 'edited' : 'missing'} in chain ${chain.name}: ${rule.comment}`
  })
  lines.push(...rest.map(({ comment, does }) => `rule in chain ${chain.name} is not ours: ${comment ?? does}`))
  return lines.length > 0 ? lines : [`rules of chain ${chain.name} are out of order`]
}
