// Turns a table into the messages that make it. They must be sent in one transaction, in this order.
import { NLM_F_APPEND, NLM_F_CREATE } from '../netlink/message.ts'
import { checkTable } from './check.ts'
import { compileRule } from './compile.ts'
import { encodeRanges } from './elements.ts'
import { expression } from './expressions.ts'
import {
  chainCodec,
  elementsCodec,
  encodeComment,
  encodeNft,
  NFT_MSG_DELSETELEM,
  NFT_MSG_DELRULE,
  NFT_MSG_DELTABLE,
  NFT_MSG_NEWCHAIN,
  NFT_MSG_NEWRULE,
  NFT_MSG_NEWSET,
  NFT_MSG_NEWSETELEM,
  NFT_MSG_NEWTABLE,
  type NftFamilyName,
  ruleCodec,
  setCodec,
  tableCodec,
} from './messages.ts'
import { familyOfSet, type Range, rangesOf } from './ranges.ts'
import { commentOf, renderRule } from './render.ts'
import { hookNumbers, keyTypes, policyNumbers, SET_INTERVAL } from './numbers.ts'
import { type NftChain, type NftRule, type NftSet, type NftTable } from './ruleset.ts'

/** A netlink request with a description for people. */
export type NftRequest = {
  readonly what: string
  readonly type: number
  readonly flags: number
  readonly payload: Uint8Array
}

/**
 * The requests that replace a table, whether it exists or not. Adding it first lets the deletion succeed also when it is absent: kernels
 * before 6.3 have no message to delete an object that may be absent. Throws RulesetError.
 */
export function replaceRequests(table: NftTable): NftRequest[] {
  checkTable(table)
  return [
    addTable(table),
    deleteTableRequest(table.family, table.name),
    addTable(table),
    ...table.sets.flatMap((set, index) => addSet(table, set, index + 1)),
    ...table.chains.map((chain) => addChain(table, chain)),
    ...table.chains.flatMap((chain) => chain.rules.map((rule) => addRule(table, chain, rule))),
  ]
}

export function deleteTableRequest(family: NftFamilyName, name: string): NftRequest {
  const payload = encodeNft(family, tableCodec, { name })
  return { what: `nft delete table ${family} ${name}`, type: NFT_MSG_DELTABLE, flags: 0, payload }
}

/** The requests that remove ranges from a set of the table, or add them. */
export function elementRequests(
  action: 'add' | 'delete',
  { family, name: table }: NftTable,
  set: NftSet,
  ranges: readonly Range[],
): NftRequest[] {
  return encodeRanges(ranges, set.interval).map((elements) => ({
    what: `nft ${action} element ${family} ${table} ${set.name}`,
    type: action === 'add' ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM,
    flags: action === 'add' ? NLM_F_CREATE : 0,
    payload: encodeNft(family, elementsCodec, { table, set: set.name, elements }),
  }))
}

function addTable({ family, name }: NftTable): NftRequest {
  const payload = encodeNft(family, tableCodec, { name, flags: 0 })
  return { what: `nft add table ${family} ${name}`, type: NFT_MSG_NEWTABLE, flags: NLM_F_CREATE, payload }
}

function addSet(table: NftTable, set: NftSet, id: number): NftRequest[] {
  const payload = encodeNft(table.family, setCodec, {
    table: table.name,
    name: set.name,
    flags: set.interval ? SET_INTERVAL : 0,
    keyType: keyTypes[set.type],
    keyLength: familyOfSet[set.type] === 4 ? 4 : 16,
    id,
    ...(set.counter && { expression: expression('counter', {}) }),
  })
  const what = `nft add set ${table.family} ${table.name} ${set.name}`
  return [
    { what, type: NFT_MSG_NEWSET, flags: NLM_F_CREATE, payload },
    ...elementRequests('add', table, set, rangesOf(set)),
  ]
}

function addChain(table: NftTable, { name, hook, policy = 'accept' }: NftChain): NftRequest {
  const base = hook && {
    hook: {
      number: hookNumbers[hook.hook],
      priority: hook.priority,
      ...(hook.device !== undefined && { device: hook.device }),
    },
    policy: policyNumbers[policy],
    type: hook.type,
  }
  return {
    what: `nft add chain ${table.family} ${table.name} ${name}`,
    type: NFT_MSG_NEWCHAIN,
    flags: NLM_F_CREATE,
    payload: encodeNft(table.family, chainCodec, { table: table.name, name, ...base }),
  }
}

function addRule({ family, name: table }: NftTable, chain: NftChain, rule: NftRule): NftRequest {
  const comment = commentOf(rule, family)
  return {
    what: `nft add rule ${family} ${table} ${chain.name} "${comment}"`,
    type: NFT_MSG_NEWRULE,
    flags: NLM_F_CREATE | NLM_F_APPEND,
    payload: encodeNft(family, ruleCodec, {
      table,
      chain: chain.name,
      expressions: compileRule(rule, family),
      userdata: encodeComment(comment),
    }),
  }
}

/** A chain of a table that another program may own. */
export type ChainPlace = { readonly family: NftFamilyName; readonly table: string; readonly chain: string }

/** The request that puts a rule before the one with the handle `before`, or at the end of a chain. */
export function placeRuleRequest(place: ChainPlace, rule: NftRule, before: bigint | undefined): NftRequest {
  const { family, table, chain } = place
  // only in netdev tables is the IP family of a packet not known yet
  const expressions = compileRule(rule, family === 'netdev' ? 'netdev' : 'inet')
  const userdata = encodeComment(rule.comment)
  return {
    what: placeRuleCommand(place, rule, before),
    type: NFT_MSG_NEWRULE,
    flags: before === undefined ? NLM_F_CREATE | NLM_F_APPEND : NLM_F_CREATE,
    payload: encodeNft(family, ruleCodec, {
      table,
      chain,
      expressions,
      ...(before !== undefined && { position: before }),
      userdata,
    }),
  }
}

/** The same as a command of nft; its comment is quoted for nft, not for a shell. */
export function placeRuleCommand(
  { family, table, chain }: ChainPlace,
  rule: NftRule,
  before: bigint | undefined,
): string {
  const verb = before === undefined ? 'add' : 'insert'
  const at = before === undefined ? '' : ` handle ${before}`
  return `nft ${verb} rule ${family} ${table} ${chain}${at} ${renderRule(rule, 'inet')} comment "${rule.comment}"`
}

export function deleteRuleRequest({ family, table, chain }: ChainPlace, handle: bigint): NftRequest {
  return {
    what: `nft delete rule ${family} ${table} ${chain} handle ${handle}`,
    type: NFT_MSG_DELRULE,
    flags: 0,
    payload: encodeNft(family, ruleCodec, { table, chain, handle }),
  }
}
