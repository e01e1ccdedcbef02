// A rule of another program's chain: decoded far enough to find ours among them, and to judge what it does to a packet.
import { type DecodedExpression, decodeExpression, type Expression, fingerprint } from './expressions.ts'
import { decodeComment, decodeNft, ruleCodec } from './messages.ts'

export type ForeignRule = {
  /** 0 for a rule of legacy iptables, which has no handles. */
  readonly handle: bigint
  readonly comment: string | undefined
  readonly expressions: readonly DecodedExpression[]
  /** The fingerprint of the expressions that decide: without counters and comments. */
  readonly does: string
}

/** Makes a rule of its expressions as the kernel dumps them. Its expressions are decoded when they are asked for: WireError comes then. */
export function foreignRule(
  handle: bigint,
  userdata: Uint8Array | undefined,
  source: readonly Expression[],
): ForeignRule {
  // a chain may have thousands of rules, of which hardly any is looked at as a whole
  let decoded: readonly DecodedExpression[] | undefined
  return {
    handle,
    get comment() {
      const own = userdata && decodeComment(userdata)
      return own ?? this.expressions.flatMap((each) => xtComment(each) ?? [])[0]
    },
    get expressions() {
      return (decoded ??= source.map(decodeExpression))
    },
    get does() {
      return fingerprint(source.filter((_, index) => !isRemark(this.expressions[index]!)))
    },
  }
}

/** A rule with its expressions as the kernel dumps them. */
export type RawRule = {
  readonly chain: string
  readonly handle: bigint
  readonly userdata: Uint8Array | undefined
  readonly expressions: readonly Expression[]
}

/** Decodes an NFT_MSG_NEWRULE but for its expressions. Throws WireError. */
export function decodeRawRule(payload: Uint8Array): RawRule {
  const { chain = '', handle = 0n, expressions = [], userdata } = decodeNft(payload, ruleCodec)
  const named = expressions.map(({ name = '', data = new Uint8Array() }) => ({ name, data }))
  return { chain, handle, userdata, expressions: named }
}

/** Decodes an NFT_MSG_NEWRULE. Throws WireError. */
export function decodeForeignRule(payload: Uint8Array): ForeignRule {
  const { handle, expressions, userdata } = decodeRawRule(payload)
  return foreignRule(handle, userdata, expressions)
}

/** iptables-restore turns nft's comment of a rule into a match that always holds. */
export function xtComment(each: DecodedExpression): string | undefined {
  if (each.name !== 'match' || each.attrs.name !== 'comment') return undefined
  const { info = new Uint8Array() } = each.attrs
  const end = info.indexOf(0)
  return new TextDecoder().decode(end < 0 ? info : info.subarray(0, end))
}

/** Whether the expression neither matches nor decides anything. */
export function isRemark(each: DecodedExpression): boolean {
  return each.name === 'counter' || (each.name === 'match' && each.attrs.name === 'comment')
}
