// Counters of the tables' rules, told by rules of policies and by classes.
import { type ClassId, type Form } from '#/policy/form.ts'
import { type Direction, type RuleRef } from '#/policy/policy.ts'
import { type NftRuleCounter } from '#/wire/nftables/counters.ts'
import { classOfChain, ruleComment } from './names.ts'

type Count = { readonly packets: number; readonly bytes: number }

/** First packets of connections, and all packets of those that were not answered. */
export type PolicyCounters = {
  /** One of a NetworkPolicy counts for all pods, one of a ClusterNetworkPolicy for each class of pods by itself. */
  readonly rules: readonly (Count & { readonly ref: RuleRef; readonly class?: ClassId })[]
  /** What was denied to the pods of a class, or, with `isAudited`, would have been. */
  readonly denied: readonly (Count & {
    readonly class: ClassId
    readonly direction: Direction
    readonly isAudited: boolean
  })[]
  /** Frames of pods that the bridge table drops, by the reason. */
  readonly refused: readonly (Count & { readonly why: string })[]
}

export function countersOf(
  form: Form,
  inet: readonly NftRuleCounter[],
  bridge: readonly NftRuleCounter[],
): PolicyCounters {
  const refs = new Map<string, RuleRef>()
  for (const { rules } of form.policies.values()) for (const { ref } of rules) refs.set(ruleComment(ref), ref)
  const rules = new Map<string, PolicyCounters['rules'][number]>()
  const denied = new Map<string, PolicyCounters['denied'][number]>()
  for (const { chain, comment, packets, bytes } of inet) {
    const ref = refs.get(comment)
    const one = classOfChain(chain)
    if (ref) {
      const id = `${one?.id ?? ''} ${comment}`
      const before = rules.get(id) ?? { ref, ...(one && { class: one.id }), ...none }
      rules.set(id, { ...before, packets: before.packets + packets, bytes: before.bytes + bytes })
    } else if (one && denialComment.test(comment)) {
      const before = denied.get(one.id) ?? {
        class: one.id,
        direction: one.direction,
        isAudited: comment.startsWith('audited'),
        ...none,
      }
      denied.set(one.id, { ...before, packets: before.packets + packets, bytes: before.bytes + bytes })
    }
  }
  return {
    rules: [...rules.values()],
    denied: [...denied.values()],
    refused: bridge.map(({ comment, packets, bytes }) => ({ why: comment, packets, bytes })),
  }
}

/** As classChains has it. */
const denialComment = /^(denied|audited): /
const none = { packets: 0, bytes: 0 } as const
