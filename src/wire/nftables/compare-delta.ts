// Finds the change of a table that leaves alone all that is as it should be.
import { type NftActual, type NftActualChain, type NftActualSet } from './actual.ts'
import { resultOf } from '#/lib/steps.ts'
import { anySetsOf, hasRules, hookDifferences, keySetChanges, setChange } from './compare.ts'
import { type NftDelta, type NftElements } from './delta.ts'
import { type NftChain, type NftRule, type NftTable } from './ruleset.ts'

/** After so much of what takes some microseconds a step ends: a millisecond. */
const workPerStep = 100

/**
 * What turns `actual` into the desired table: all of it when there is none, nothing when they are equal. Undefined when the table must be replaced
 * whole: it is dormant, or a set or base chain that stays is of another kind.
 */
export function nftDelta(desired: NftTable, actual: NftActual | undefined): NftDelta | undefined {
  return resultOf(nftDeltaInSteps(desired, actual))
}

/** As nftDelta, in steps of a millisecond or so. */
export function* nftDeltaInSteps(
  desired: NftTable,
  actual: NftActual | undefined,
): Generator<void, NftDelta | undefined, void> {
  if (actual !== undefined && actual.flags !== 0) return undefined
  const sets = new Map(actual?.sets.map((set) => [set.name, set]))
  const chains = new Map(actual?.chains.map((chain) => [chain.name, chain]))
  if (!areSameKinds(desired, sets, chains)) return undefined
  yield
  const isAbsent = ({ name }: { readonly name: string }): boolean => !sets.has(name)
  const wantedSets = new Set(anySetsOf(desired).map(({ name }) => name))
  const wantedChains = new Set(desired.chains.map(({ name }) => name))
  const kept = desired.chains.filter(({ name }) => chains.has(name))
  return {
    addSets: desired.sets.filter(isAbsent),
    addKeySets: (desired.keySets ?? []).filter(isAbsent),
    addChains: desired.chains.filter(({ name }) => !chains.has(name)),
    setRules: yield* changedRules(desired, kept, chains),
    ...(yield* elementChanges(desired, sets)),
    deleteChains: [...chains.keys()].filter((name) => !wantedChains.has(name)),
    deleteSets: [...sets.keys()].filter((name) => !wantedSets.has(name)),
  }
}

type SetsByName = ReadonlyMap<string, NftActualSet>
type ChainsByName = ReadonlyMap<string, NftActualChain>

function areSameKinds(desired: NftTable, sets: SetsByName, chains: ChainsByName): boolean {
  const isSameSet = anySetsOf(desired).every(({ name, differences }) => {
    const other = sets.get(name)
    return other === undefined || differences(other).length === 0
  })
  return (
    isSameSet &&
    desired.chains.every((chain) => {
      const other = chains.get(chain.name)
      return other === undefined || hookDifferences(chain, other).length === 0
    })
  )
}

function* changedRules(
  { family }: NftTable,
  kept: readonly NftChain[],
  chains: ChainsByName,
): Generator<void, Map<string, readonly NftRule[]>, void> {
  const changed = new Map<string, readonly NftRule[]>()
  let work = 0
  for (const { name, rules } of kept) {
    if (!hasRules(rules, chains.get(name)!.rules, family)) changed.set(name, rules)
    // a rule takes as long as several elements
    work += 5 * rules.length
    if (work >= workPerStep) {
      yield
      work = 0
    }
  }
  return changed
}

function* elementChanges(
  { sets, keySets = [] }: NftTable,
  present: SetsByName,
): Generator<void, Pick<NftDelta, 'addElements' | 'deleteElements'>, void> {
  const addElements: NftElements[] = []
  const deleteElements: NftElements[] = []
  for (const set of sets) {
    const other = present.get(set.name)
    if (set.dynamic || other === undefined) continue
    const { missing, extra } = yield* setChange(set, other)
    if (missing.length > 0) addElements.push({ kind: 'ranges', set, ranges: missing })
    if (extra.length > 0) deleteElements.push({ kind: 'ranges', set, ranges: extra })
    yield
  }
  for (const change of yield* keySetChanges({ keySets }, present)) {
    const { name, type } = change.set
    if (change.extra.length > 0) deleteElements.push({ kind: 'keys', set: { name, type }, keys: change.extra })
    if (change.missing.length > 0) addElements.push({ kind: 'keys', set: change.set, keys: change.missing })
  }
  return { addElements, deleteElements }
}
