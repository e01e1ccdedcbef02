// Compares sets and maps of keys with the kernel's.
import { type NftActualEntry, type NftActualSet } from './actual.ts'
import { verdictData } from './instructions.ts'
import { decodeKey, encodeKey, keyLayout, keyText } from './keys.ts'
import { SET_MAP } from './numbers.ts'
import { verdictText } from './render.ts'
import { type NftKey, type NftKeySet, type NftMap, type NftMapElement } from './ruleset.ts'

/** A set or map and what it lacks and has in excess. A key with another verdict is in both lists. */
export type NftKeyChange =
  | {
      readonly kind: 'keys'
      readonly set: NftKeySet
      readonly missing: readonly NftKey[]
      readonly extra: readonly NftKey[]
    }
  | {
      readonly kind: 'map'
      readonly map: NftMap
      readonly missing: readonly NftMapElement[]
      readonly extra: readonly NftKey[]
    }

/** What of the set is not as it should be, except for its elements. */
export function keyedDifferences(
  object: Pick<NftKeySet, 'name' | 'type' | 'counter'>,
  flags: 0 | typeof SET_MAP,
  actual: NftActualSet,
): string[] {
  const { name, type, counter = false } = object
  if (actual.keyType !== keyLayout(type).keyType) return [`set ${name} is not of type ${type.join(' . ')}`]
  if (actual.flags !== flags) return [`set ${name} has flags ${actual.flags}, should have ${flags}`]
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
  return { kind: 'keys', set, missing: difference.missing, extra: keysOf(set.type, difference.extra) }
}

/** As keySetChange, of a map. */
export function* mapChange(map: NftMap, actual: NftActualSet): Generator<void, NftKeyChange, void> {
  const { missing, extra } = yield* compared(
    map.elements,
    ({ key, verdict }) => {
      const { code, chain = '' } = verdictData(verdict)
      return `${bytesText(encodeKey(map.type, key))} ${code} ${chain}`
    },
    actual.entries ?? [],
    ({ key, verdict }) => `${bytesText(key)} ${verdict?.code} ${verdict?.chain ?? ''}`,
  )
  return { kind: 'map', map, missing, extra: keysOf(map.type, extra) }
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
  const missing =
    change.kind === 'keys'
      ? change.missing.map(keyText)
      : change.missing.map(({ key, verdict }) => `${keyText(key)} : ${verdictText(verdict)}`)
  return { missing, extra: change.extra.map(keyText) }
}
