// Finds the change of a table that leaves alone all that is as it should be.
import { type NftActual } from './actual.ts'
import { anySetsOf, hasRules, hookDifferences, keyChanges, setChanges } from './compare.ts'
import { type NftDelta, type NftElements } from './delta.ts'
import { type NftRule, type NftTable } from './ruleset.ts'

/**
 * What turns `actual` into the desired table; nothing in it when they are equal. Undefined when the table must be replaced whole: it is absent or
 * not as we make tables, or a set or base chain that stays is of another kind.
 */
export function nftDelta(desired: NftTable, actual: NftActual | undefined): NftDelta | undefined {
  if (actual === undefined || actual.flags !== 0) return undefined
  const sets = new Map(actual.sets.map((set) => [set.name, set]))
  const chains = new Map(actual.chains.map((chain) => [chain.name, chain]))
  const isAbsentSet = ({ name }: { readonly name: string }): boolean => !sets.has(name)
  const anySets = anySetsOf(desired)
  const setRules = new Map<string, readonly NftRule[]>()
  for (const set of anySets) {
    const other = sets.get(set.name)
    if (other && set.differences(other).length > 0) return undefined
  }
  for (const chain of desired.chains) {
    const other = chains.get(chain.name)
    if (other === undefined) continue
    if (hookDifferences(chain, other).length > 0) return undefined
    if (!hasRules(chain.rules, other.rules, desired.family)) setRules.set(chain.name, chain.rules)
  }
  const wantedSets = new Set(anySets.map(({ name }) => name))
  const wantedChains = new Set(desired.chains.map(({ name }) => name))
  return {
    addSets: desired.sets.filter(isAbsentSet),
    addKeySets: (desired.keySets ?? []).filter(isAbsentSet),
    addMaps: (desired.maps ?? []).filter(isAbsentSet),
    addChains: desired.chains.filter(({ name }) => !chains.has(name)),
    setRules,
    ...elementChanges(desired, actual),
    deleteChains: [...chains.keys()].filter((name) => !wantedChains.has(name)),
    deleteSets: [...sets.keys()].filter((name) => !wantedSets.has(name)),
  }
}

function elementChanges(desired: NftTable, actual: NftActual): Pick<NftDelta, 'addElements' | 'deleteElements'> {
  const addElements: NftElements[] = []
  const deleteElements: NftElements[] = []
  for (const { set, missing, extra } of setChanges(desired, actual)) {
    if (missing.length > 0) addElements.push({ kind: 'ranges', set, ranges: missing })
    if (extra.length > 0) deleteElements.push({ kind: 'ranges', set, ranges: extra })
  }
  for (const change of keyChanges(desired, actual)) {
    const { name, type } = change.kind === 'keys' ? change.set : change.map
    if (change.extra.length > 0) deleteElements.push({ kind: 'keys', set: { name, type }, keys: change.extra })
    if (change.missing.length === 0) continue
    if (change.kind === 'keys') addElements.push({ kind: 'keys', set: change.set, keys: change.missing })
    else addElements.push({ kind: 'map', map: change.map, elements: change.missing })
  }
  return { addElements, deleteElements }
}
