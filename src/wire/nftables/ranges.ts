// Elements of address sets as ranges: merged as `nft` does with auto-merge, compared, and written as text.
import { Addr, type Family, Prefix } from '#/lib/addr.ts'
import { type NftSet, RulesetError } from './ruleset.ts'

/** The addresses from `first` to `last`, both included. */
export type Range = { readonly first: Addr; readonly last: Addr }

/** Ranges to add to and remove from one set. */
export type NftSetChange = {
  readonly set: NftSet
  readonly missing: readonly Range[]
  readonly extra: readonly Range[]
}

export const familyOfSet = { ipv4_addr: 4, ipv6_addr: 6 } as const satisfies Record<NftSet['type'], Family>

function rangeOf(element: Prefix | Addr): Range {
  return element instanceof Addr ? { first: element, last: element } : { first: element.addr, last: element.last }
}

/** The contents of a set, sorted; with `interval` overlapping and adjacent ranges are merged. Throws RulesetError. */
export function rangesOf(set: NftSet): Range[] {
  const ranges = set.elements.map(rangeOf).sort((a, b) => a.first.compare(b.first))
  for (const range of ranges) checkElement(set, range)
  const merged: Range[] = []
  for (const range of ranges) {
    const before = merged.at(-1)
    if (before === undefined || !joins(before, range, set.interval)) merged.push(range)
    else if (range.last.compare(before.last) > 0) merged[merged.length - 1] = { first: before.first, last: range.last }
  }
  return merged
}

function checkElement(set: NftSet, range: Range): void {
  if (range.first.family !== familyOfSet[set.type])
    throw new RulesetError(`set ${set.name} of ${set.type} cannot hold ${rangeText(range)}`)
  if (!set.interval && !range.first.equals(range.last))
    throw new RulesetError(`set ${set.name} holds single addresses, not ${rangeText(range)}: make it an interval set`)
}

function joins(before: Range, range: Range, adjacentToo: boolean): boolean {
  return range.first.value <= before.last.value + (adjacentToo ? 1n : 0n)
}

/** A range as `nft` writes it: an address, a prefix, or "first-last" when the range is not a prefix. */
export function rangeText(range: Range): string {
  if (range.first.equals(range.last)) return range.first.toString()
  const prefix = prefixOf(range)
  return prefix === undefined ? `${range.first}-${range.last}` : prefix.toString()
}

function prefixOf({ first, last }: Range): Prefix | undefined {
  const hostBits = (first.value ^ last.value).toString(2).length
  const prefix = new Prefix(first, first.bits - hostBits)
  return prefix.addr.equals(first) && prefix.last.equals(last) ? prefix : undefined
}

/** So many addresses are compared in a step: a millisecond. */
const addressesPerStep = 500

/**
 * The addresses that a set without `interval` lacks, and those that it has in excess, found in steps. Such sets may hold an address of every
 * node or pod, so this compares them without sorting.
 */
export function* compareAddresses(
  set: NftSet,
  actual: readonly Range[],
): Generator<void, { readonly missing: Range[]; readonly extra: Range[] }, void> {
  const wanted = new Map<string, Range>()
  let work = 0
  for (const element of set.elements) {
    const range = rangeOf(element)
    checkElement(set, range)
    wanted.set(range.first.toString(), range)
    if (++work % addressesPerStep === 0) yield
  }
  const extra: Range[] = []
  for (const range of actual) {
    if (!wanted.delete(range.first.toString())) extra.push(range)
    if (++work % addressesPerStep === 0) yield
  }
  return { missing: [...wanted.values()], extra }
}

/** The ranges of `desired` that are not in `actual`, and the other way round; each range is compared as a whole. */
export function compareRanges(
  desired: readonly Range[],
  actual: readonly Range[],
): { readonly missing: Range[]; readonly extra: Range[] } {
  const key = ({ first, last }: Range): string => `${first}-${last}`
  const wanted = new Set(desired.map(key))
  const present = new Set(actual.map(key))
  return {
    missing: desired.filter((range) => !present.has(key(range))),
    extra: actual.filter((range) => !wanted.has(key(range))),
  }
}
