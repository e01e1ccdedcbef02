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

export function keySetChange(set: NftKeySet, actual: NftActualSet): NftKeyChange {
  const wanted = new Map(set.elements.map((key) => [bytesText(encodeKey(set.type, key)), key]))
  const extra = (actual.entries ?? []).filter(({ key }) => !wanted.delete(bytesText(key)))
  return { kind: 'keys', set, missing: [...wanted.values()], extra: keysOf(set.type, extra) }
}

export function mapChange(map: NftMap, actual: NftActualSet): NftKeyChange {
  const wanted = new Map(
    map.elements.map((element) => {
      const { code, chain = '' } = verdictData(element.verdict)
      return [`${bytesText(encodeKey(map.type, element.key))} ${code} ${chain}`, element]
    }),
  )
  const extra = (actual.entries ?? []).filter(
    ({ key, verdict }) => !wanted.delete(`${bytesText(key)} ${verdict?.code} ${verdict?.chain ?? ''}`),
  )
  return { kind: 'map', map, missing: [...wanted.values()], extra: keysOf(map.type, extra) }
}

function bytesText(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes)
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
