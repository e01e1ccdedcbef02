// A change of a table that leaves alone what it does not name: counters of other chains go on counting, and no packet meets half of it.
import { checkChain, checkKeySet, checkMap, checkRules } from './check.ts'
import { checkKey } from './keys.ts'
import { type Range } from './ranges.ts'
import {
  addChain,
  addKeySet,
  addMap,
  addMapElements,
  addRule,
  addSet,
  addTable,
  deleteChain,
  deleteSet,
  elementRequests,
  flushChain,
  keyRequests,
  newIds,
  type NftRequest,
} from './requests.ts'
import {
  type NftChain,
  type NftKey,
  type NftKeySet,
  type NftMap,
  type NftMapElement,
  type NftRule,
  type NftSet,
  type NftTableName,
} from './ruleset.ts'

/**
 * What is to change in a table that exists. Objects may refer to one another in any way that holds in the end: a chain is deleted together
 * with the rules and elements that lead to it, an element is deleted and added again with another verdict.
 */
export type NftDelta = {
  readonly addSets?: readonly NftSet[]
  readonly addKeySets?: readonly NftKeySet[]
  readonly addMaps?: readonly NftMap[]
  /** Chains with their rules. */
  readonly addChains?: readonly NftChain[]
  /** The new rules of chains that exist, by the chain's name: they take the place of all the chain has. */
  readonly setRules?: ReadonlyMap<string, readonly NftRule[]>
  readonly addElements?: readonly NftElements[]
  /** Elements must be there: deleting one that is gone fails the whole transaction with ENOENT. Of maps only the keys count. */
  readonly deleteElements?: readonly NftElements[]
  readonly deleteChains?: readonly string[]
  /** Names of sets and maps. */
  readonly deleteSets?: readonly string[]
}

/** Elements of one set or map. Of the set or map itself only the name and the kind count. */
export type NftElements =
  /** Ranges of an interval set must neither overlap nor touch others that are there. */
  | { readonly kind: 'ranges'; readonly set: Pick<NftSet, 'name' | 'interval'>; readonly ranges: readonly Range[] }
  /** Keys of a set; or of a map, to delete their elements. */
  | { readonly kind: 'keys'; readonly set: Pick<NftKeySet, 'name' | 'type'>; readonly keys: readonly NftKey[] }
  | { readonly kind: 'map'; readonly map: Pick<NftMap, 'name' | 'type'>; readonly elements: readonly NftMapElement[] }

export function isEmptyDelta(delta: NftDelta): boolean {
  return Object.values(delta).every((part) =>
    part instanceof Map ? part.size === 0 : (part as unknown[]).length === 0,
  )
}

/**
 * The requests that change a table, in an order that the kernel takes, all in one transaction; the table is made when it is absent. Throws
 * RulesetError.
 */
export function deltaRequests(table: NftTableName, delta: NftDelta): NftRequest[] {
  const { preparation, change } = deltaParts(table, delta)
  return [addTable(table), ...preparation, ...change]
}

/**
 * The requests in two parts: those that make what nothing refers to yet, so that they may come in any number of transactions, in their order, and
 * no packet meets them; and the change, which must be one transaction. Throws RulesetError.
 */
export function deltaParts(
  table: NftTableName,
  delta: NftDelta,
): { readonly preparation: NftRequest[]; readonly change: NftRequest[] } {
  checkDelta(table, delta)
  const { addSets = [], addKeySets = [], addMaps = [], addChains = [], setRules = new Map<string, NftRule[]>() } = delta
  const { addElements = [], deleteElements = [], deleteChains = [], deleteSets = [] } = delta
  const ids = newIds()
  const addRules = ({ name, rules }: Pick<NftChain, 'name' | 'rules'>): NftRequest[] =>
    rules.flatMap((rule) => addRule(table, name, rule, ids))
  const baseChains = addChains.filter(({ hook }) => hook !== undefined)
  const otherChains = addChains.filter(({ hook }) => hook === undefined)
  return {
    preparation: [
      ...addSets.flatMap((set) => addSet(table, set, ids)),
      ...addKeySets.flatMap((set) => addKeySet(table, set, ids)),
      ...addMaps.map((map) => addMap(table, map, ids)),
      ...otherChains.map((chain) => addChain(table, chain)),
      ...otherChains.flatMap(addRules),
      ...addMaps.flatMap((map) => addMapElements(table, map, map.elements)),
    ],
    change: [
      ...baseChains.map((chain) => addChain(table, chain)),
      // before a key is added with another verdict
      ...deleteElements.flatMap((elements) => deletion(table, elements)),
      // chains that go may lead to one another: none of them has rules any more when the first is deleted
      ...[...setRules.keys(), ...deleteChains].map((chain) => flushChain(table, chain)),
      ...baseChains.flatMap(addRules),
      ...[...setRules].flatMap(([name, rules]) => addRules({ name, rules })),
      ...addElements.flatMap((elements) => addition(table, elements)),
      // maps first: their elements lead to chains
      ...deleteSets.map((name) => deleteSet(table, name)),
      ...deleteChains.map((name) => deleteChain(table, name)),
    ],
  }
}

function addition(table: NftTableName, added: NftElements): NftRequest[] {
  switch (added.kind) {
    case 'ranges':
      return elementRequests('add', table, added.set, added.ranges)
    case 'keys':
      return keyRequests('add', table, added.set, added.keys)
    default:
      return addMapElements(table, added.map, added.elements)
  }
}

function deletion(table: NftTableName, gone: NftElements): NftRequest[] {
  switch (gone.kind) {
    case 'ranges':
      return elementRequests('delete', table, gone.set, gone.ranges)
    case 'keys':
      return keyRequests('delete', table, gone.set, gone.keys)
    default:
      return keyRequests(
        'delete',
        table,
        gone.map,
        gone.elements.map(({ key }) => key),
      )
  }
}

/** What rules refer to is not checked, since only a part of the table is known here: the kernel refuses what is not there. */
function checkDelta(table: NftTableName, delta: NftDelta): void {
  for (const set of delta.addKeySets ?? []) checkKeySet(set)
  for (const map of delta.addMaps ?? []) checkMap(map)
  for (const chain of delta.addChains ?? []) checkChain(table, chain)
  for (const [chain, rules] of delta.setRules ?? []) checkRules(table, chain, rules)
  for (const each of [...(delta.addElements ?? []), ...(delta.deleteElements ?? [])]) {
    if (each.kind === 'keys') for (const key of each.keys) checkKey(`set ${each.set.name}`, each.set.type, key)
    if (each.kind === 'map') checkMap({ ...each.map, elements: each.elements })
  }
}
