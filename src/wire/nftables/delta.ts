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
  type SetIds,
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
  const ids = newIds()
  return [addTable(table), ...preparation(table, delta, ids), ...change(table, delta, ids)]
}

/**
 * The requests that make what nothing refers to before the change: in any number of transactions, in their order, no packet meets them. They are
 * made as they are asked for. Throws RulesetError.
 */
export function* preparation(table: NftTableName, delta: NftDelta, ids = newIds()): Generator<NftRequest, void, void> {
  const { addSets = [], addKeySets = [], addMaps = [], addChains = [] } = delta
  const chains = addChains.filter(({ hook }) => hook === undefined)
  for (const set of addKeySets) {
    checkKeySet(set)
    yield* addKeySet(table, set, ids)
  }
  for (const set of addSets) yield* addSet(table, set, ids)
  for (const map of addMaps) yield addMap(table, map, ids)
  for (const chain of chains) yield addChain(table, chain)
  for (const chain of chains) {
    checkChain(table, chain)
    yield* addRules(table, chain, ids)
  }
  for (const map of addMaps) {
    checkMap(map)
    yield* addMapElements(table, map, map.elements)
  }
}

/** The requests of the change, after `preparation`: they must be in one transaction. Throws RulesetError. */
export function* change(table: NftTableName, delta: NftDelta, ids = newIds()): Generator<NftRequest, void, void> {
  const { addChains = [], setRules = new Map<string, NftRule[]>() } = delta
  const { addElements = [], deleteElements = [], deleteChains = [], deleteSets = [] } = delta
  const baseChains = addChains.filter(({ hook }) => hook !== undefined)
  for (const chain of baseChains) checkChain(table, chain)
  for (const [chain, rules] of setRules) checkRules(table, chain, rules)
  for (const elements of [...addElements, ...deleteElements]) checkElements(elements)
  for (const chain of baseChains) yield addChain(table, chain)
  // before a key is added with another verdict
  for (const elements of deleteElements) yield* deletion(table, elements)
  // chains that go may lead to one another: none of them has rules any more when the first is deleted
  for (const chain of [...setRules.keys(), ...deleteChains]) yield flushChain(table, chain)
  for (const chain of baseChains) yield* addRules(table, chain, ids)
  for (const [name, rules] of setRules) yield* addRules(table, { name, rules }, ids)
  for (const elements of addElements) yield* addition(table, elements)
  // maps first: their elements lead to chains
  for (const name of deleteSets) yield deleteSet(table, name)
  for (const name of deleteChains) yield deleteChain(table, name)
}

function* addRules(
  table: NftTableName,
  { name, rules }: Pick<NftChain, 'name' | 'rules'>,
  ids: SetIds,
): Generator<NftRequest, void, void> {
  for (const rule of rules) yield* addRule(table, name, rule, ids)
}

function addition(table: NftTableName, added: NftElements): Iterable<NftRequest> {
  switch (added.kind) {
    case 'ranges':
      return elementRequests('add', table, added.set, added.ranges)
    case 'keys':
      return keyRequests('add', table, added.set, added.keys)
    default:
      return addMapElements(table, added.map, added.elements)
  }
}

function deletion(table: NftTableName, gone: NftElements): Iterable<NftRequest> {
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

/** What rules and verdicts refer to is not checked, since only a part of the table is known here: the kernel refuses what is not there. */
function checkElements(each: NftElements): void {
  if (each.kind === 'keys') for (const key of each.keys) checkKey(`set ${each.set.name}`, each.set.type, key)
  if (each.kind === 'map') checkMap({ ...each.map, elements: each.elements })
}
