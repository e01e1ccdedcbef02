// A change of a table that leaves alone what it does not name: counters of other chains go on counting, and no packet meets half of it.
import { checkChain, checkKeySet, checkRules } from './check.ts'
import { checkKey } from './keys.ts'
import { type Range } from './ranges.ts'
import {
  addChain,
  addKeySet,
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
import { type NftChain, type NftKey, type NftKeySet, type NftRule, type NftSet, type NftTableName } from './ruleset.ts'

/**
 * What is to change in a table that exists. Objects may refer to one another in any way that holds in the end: a chain is deleted together
 * with the rules that lead to it.
 */
export type NftDelta = {
  readonly addSets?: readonly NftSet[]
  readonly addKeySets?: readonly NftKeySet[]
  /** Chains with their rules. */
  readonly addChains?: readonly NftChain[]
  /** The new rules of chains that exist, by the chain's name: they take the place of all the chain has. */
  readonly setRules?: ReadonlyMap<string, readonly NftRule[]>
  readonly addElements?: readonly NftElements[]
  /** Elements must be there: deleting one that is gone fails the whole transaction with ENOENT. */
  readonly deleteElements?: readonly NftElements[]
  readonly deleteChains?: readonly string[]
  /** Names of sets, or of maps that a table of ours had in an earlier release. */
  readonly deleteSets?: readonly string[]
}

/** Elements of one set. Of the set itself only the name and the kind count. */
export type NftElements =
  /** Ranges of an interval set must neither overlap nor touch others that are there. */
  | { readonly kind: 'ranges'; readonly set: Pick<NftSet, 'name' | 'interval'>; readonly ranges: readonly Range[] }
  | { readonly kind: 'keys'; readonly set: Pick<NftKeySet, 'name' | 'type'>; readonly keys: readonly NftKey[] }

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
  const { addSets = [], addKeySets = [], addChains = [] } = delta
  const chains = addChains.filter(({ hook }) => hook === undefined)
  for (const set of addKeySets) {
    checkKeySet(set)
    yield* addKeySet(table, set, ids)
  }
  for (const set of addSets) yield* addSet(table, set, ids)
  for (const chain of chains) yield addChain(table, chain)
  for (const chain of chains) {
    checkChain(table, chain)
    yield* addRules(table, chain, ids)
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
  for (const elements of deleteElements) yield* elementsRequests('delete', table, elements)
  // chains that go may lead to one another: none of them has rules any more when the first is deleted
  for (const chain of [...setRules.keys(), ...deleteChains]) yield flushChain(table, chain)
  for (const chain of baseChains) yield* addRules(table, chain, ids)
  for (const [name, rules] of setRules) yield* addRules(table, { name, rules }, ids)
  for (const elements of addElements) yield* elementsRequests('add', table, elements)
  // maps of an earlier release first: their elements lead to chains
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

function elementsRequests(verb: 'add' | 'delete', table: NftTableName, elements: NftElements): Iterable<NftRequest> {
  return elements.kind === 'ranges'
    ? elementRequests(verb, table, elements.set, elements.ranges)
    : keyRequests(verb, table, elements.set, elements.keys)
}

/** What rules refer to is not checked, since only a part of the table is known here: the kernel refuses what is not there. */
function checkElements(each: NftElements): void {
  if (each.kind === 'keys') for (const key of each.keys) checkKey(`set ${each.set.name}`, each.set.type, key)
}
