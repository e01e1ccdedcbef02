// Where Causeway's accepts belong in a chain of another program: they override the chain's default and stand before no other rule.
// The default is the policy, or the unconditional reject or drop that the chain ends with. Pure.
import { type ForeignRule, isRemark } from '#/wire/nftables/foreign-rule.ts'

export type Edit = {
  /** The handles of rules of ours that are not as they should be, or not where. */
  readonly remove: readonly bigint[]
  /** Whether the wanted rules are to be put in, all of them. */
  readonly isInserting: boolean
  /** The rule before which they are put; undefined: at the end. */
  readonly before: bigint | undefined
}

export type Chain = {
  readonly dropsByPolicy: boolean
  readonly rules: readonly ForeignRule[]
}

/** Whether the rule drops or rejects every packet that comes to it. */
export function endsChain({ expressions }: ForeignRule): boolean {
  const [verdict, ...more] = expressions.filter((each) => !isRemark(each) && each.name !== 'log')
  if (verdict === undefined || more.length > 0) return false
  switch (verdict.name) {
    case 'reject':
      return true
    case 'target':
      return verdict.attrs.name === 'REJECT' || verdict.attrs.name === 'DROP'
    case 'immediate':
      // a code of 0 is NF_DROP
      return (verdict.attrs.dreg ?? 0) === 0 && verdict.attrs.data?.verdict?.code === 0
    default:
      return false
  }
}

/**
 * Where the accepts belong: before a rule, at the end, or nowhere. An unconditional reject with other rules behind it is not the chain's
 * default: somebody put it there to cut those off. Accepts that stand right before it stay all the same, because then those rules came
 * later, and no packet ever reached them.
 */
function defaultOf({ dropsByPolicy, rules }: Chain, isOurs: (rule: ForeignRule) => boolean): bigint | 'end' | 'none' {
  const others = rules.filter((rule) => !isOurs(rule))
  const ending = others.find(endsChain)
  if (ending !== undefined) {
    const before = rules[rules.indexOf(ending) - 1]
    if (ending === others.at(-1) || (before !== undefined && isOurs(before))) return ending.handle
  }
  return dropsByPolicy ? 'end' : 'none'
}

/**
 * How to bring a chain in order; undefined when it is. `isOurs` knows our rules, `isRight` whether one of them does what the wanted rule of
 * that index does. Where the chain has no default to override, all rules of ours are leftovers.
 */
export function editOf(
  chain: Chain,
  wantedCount: number,
  isOurs: (rule: ForeignRule) => boolean,
  isRight: (rule: ForeignRule, index: number) => boolean,
): { readonly edit: Edit | undefined; readonly isWanted: boolean } {
  const ours = chain.rules.filter(isOurs)
  const at = defaultOf(chain, isOurs)
  const isWanted = wantedCount > 0 && at !== 'none'
  const remove = ours.map(({ handle }) => handle)
  if (!isWanted)
    return { isWanted, edit: ours.length === 0 ? undefined : { remove, isInserting: false, before: undefined } }
  const before = at === 'end' ? undefined : at
  const end = before === undefined ? chain.rules.length : chain.rules.findIndex(({ handle }) => handle === before)
  const standing = chain.rules.slice(Math.max(0, end - wantedCount), end)
  const isInOrder =
    ours.length === wantedCount &&
    standing.length === wantedCount &&
    standing.every((rule, i) => isOurs(rule) && isRight(rule, i))
  return { isWanted, edit: isInOrder ? undefined : { remove, isInserting: true, before } }
}

/** The rules of the chain once the edit is made. */
export function edited(rules: readonly ForeignRule[], edit: Edit, wanted: readonly ForeignRule[]): ForeignRule[] {
  const rest = rules.filter(({ handle }) => !edit.remove.includes(handle))
  if (!edit.isInserting) return rest
  const at = edit.before === undefined ? rest.length : rest.findIndex(({ handle }) => handle === edit.before)
  return rest.toSpliced(at, 0, ...wanted)
}
