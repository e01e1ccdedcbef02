// What rules have counted, from the kernel's dump of them.
import { decodeComment, decodeNft, ruleCodec, type Traffic, trafficOf } from './messages.ts'

/** `comment` is the plan's, without the hash. */
export type NftRuleCounter = Traffic & { readonly chain: string; readonly comment: string }

/** The hash of commentOf. */
const hash = / \[[0-9a-f]{8}\]$/

/** Reads the counter of a rule from an NFT_MSG_NEWRULE; undefined when it does not count. Throws WireError. */
export function ruleCounter(payload: Uint8Array): NftRuleCounter | undefined {
  const { chain = '', expressions = [], userdata } = decodeNft(payload, ruleCodec)
  const traffic = expressions.map((each) => trafficOf({ expression: each })).find((each) => each !== undefined)
  if (traffic === undefined) return undefined
  const comment = userdata === undefined ? '' : (decodeComment(userdata) ?? '')
  return { ...traffic, chain, comment: comment.replace(hash, '') }
}
