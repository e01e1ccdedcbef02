// Turns a table into the messages that make it. They must be sent in one transaction, in this order.
import { checkTable } from './check.ts'
import {
  addChain,
  addKeySet,
  addRule,
  addSet,
  addTable,
  deleteTableRequest,
  newIds,
  type NftRequest,
} from './requests.ts'
import { type NftTable } from './ruleset.ts'

/**
 * The requests that replace a table, whether it exists or not. Adding it first lets the deletion succeed also when it is absent: kernels
 * before 6.3 have no message to delete an object that may be absent. Throws RulesetError.
 */
export function replaceRequests(table: NftTable): NftRequest[] {
  checkTable(table)
  const { sets, keySets = [], chains } = table
  const ids = newIds()
  return [
    addTable(table),
    deleteTableRequest(table.family, table.name),
    addTable(table),
    ...keySets.flatMap((set) => [...addKeySet(table, set, ids)]),
    ...sets.flatMap((set) => [...addSet(table, set, ids)]),
    ...chains.map((chain) => addChain(table, chain)),
    ...chains.flatMap((chain) => chain.rules.flatMap((rule) => addRule(table, chain.name, rule, ids))),
  ]
}
