// Compares sets of keys with the kernel's.
import { type NftActualEntry, type NftActualSet } from './actual.ts'
import { decodeKey, encodeKey, keyLayout, keyText } from './keys.ts'
import { type NftKey, type NftKeySet } from './ruleset.ts'

/** A set and what it lacks and has in excess. */
export type NftKeyChange = {
  readonly set: NftKeySet
  readonly missing: readonly NftKey[]
  readonly extra: readonly NftKey[]
}

/** What of the set is not as it should be, except for its elements. */
export function keyedDifferences(object: Pick<NftKeySet, 'name' | 'type' | 'counter'>, actual: NftActualSet): string[] {
  const { name, type, counter = false } = object
  if (actual.keyType !== keyLayout(type).keyType) return [`set ${name} is not of type ${type.join(' . ')}`]
  if (actual.flags !== 0) return [`set ${name} has flags ${actual.flags}, should have none`]
  if (actual.counter !== counter)
    return [`set ${name} ${actual.counter ? 'counts' : 'does not count'} packets by element`]
  const isOdd = actual.entries?.some(({ key }) => key.length !== keyLayout(type).keyLength) ?? true
  return isOdd ? [`set ${name} has elements of a kind that is not ours`] : []
}

/** So many elements are compared in a step: a millisecond. */
const elementsPerStep = 500

/** The change of a set that is of the right kind, found in steps. */
export function* keySetChange(set: NftKeySet, actual: NftActualSet): Generator<void, NftKeyChange, void> {
  const difference = yield* compared(
    set.elements,
    (key) => bytesText(encodeKey(set.type, key)),
    actual.entries ?? [],
    ({ key }) => bytesText(key),
  )
  return { set, missing: difference.missing, extra: keysOf(set.type, difference.extra) }
}

function* compared<D>(
  desired: readonly D[],
  textOf: (element: D) => string,
  actual: readonly NftActualEntry[],
  actualTextOf: (entry: NftActualEntry) => string,
): Generator<void, { readonly missing: readonly D[]; readonly extra: readonly NftActualEntry[] }, void> {
  const wanted = new Map<string, D>()
  const extra: NftActualEntry[] = []
  let work = 0
  for (const element of desired) {
    wanted.set(textOf(element), element)
    if (++work % elementsPerStep === 0) yield
  }
  for (const entry of actual) {
    if (!wanted.delete(actualTextOf(entry))) extra.push(entry)
    if (++work % elementsPerStep === 0) yield
  }
  return { missing: [...wanted.values()], extra }
}

function bytesText(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}

function keysOf(type: NftKeySet['type'], entries: readonly NftActualEntry[]): NftKey[] {
  return entries.flatMap(({ key }) => {
    const decoded = decodeKey(type, key)
    return decoded === undefined ? [] : [decoded]
  })
}

/** The elements as text: what is missing, and what is too much. */
export function keyChangeTexts(change: NftKeyChange): { readonly missing: string[]; readonly extra: string[] } {
  return { missing: change.missing.map(keyText), extra: change.extra.map(keyText) }
}
