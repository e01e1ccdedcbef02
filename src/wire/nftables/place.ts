// Single rules in chains of tables that another program may own.
import { NLM_F_APPEND, NLM_F_CREATE } from '../netlink/message.ts'
import { compileRule } from './compile.ts'
import {
  encodeComment,
  encodeNft,
  NFT_MSG_DELRULE,
  NFT_MSG_NEWRULE,
  type NftFamilyName,
  ruleCodec,
} from './messages.ts'
import { renderRule } from './render-rule.ts'
import { type NftRequest } from './requests.ts'
import { type NftRule } from './ruleset.ts'

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
