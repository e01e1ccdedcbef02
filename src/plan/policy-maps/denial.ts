// What denies a packet, and the number by which programs know it. Pure.
import { createHash } from 'node:crypto'
import { someOf } from '#/lib/some-of.ts'
import { type Direction, type RuleRef, ruleRefText } from '#/policy/policy.ts'

export type Denial =
  | { readonly kind: 'rule'; readonly rule: RuleRef }
  /** NetworkPolicies select the pod, and no rule of theirs allows the packet. */
  | { readonly kind: 'isolated'; readonly direction: Direction; readonly by: readonly string[] }

/** "clusternetworkpolicy/base ingress 0", "networkpolicy/shop/db ingress, none of its rules". */
function textOf(denial: Denial, listed: (policies: readonly string[]) => string): string {
  if (denial.kind === 'rule') return ruleRefText(denial.rule)
  const { direction, by } = denial
  return `${listed(by)} ${direction}, none of ${by.length === 1 ? 'its' : 'their'} rules`
}

/** A map has thousands of entries for one denial, and a thousand policies may isolate a pod: its text is made once. */
const numbers = new WeakMap<Denial, number>()
/** What is told of a number. */
const texts = new Map<number, string>()
/** Policies come and go. Of those that went long ago nothing need be told; the text of one that is at work is made anew with its entries. */
const mostTexts = 16_384

/** The first 32 bits of SHA-256 over all that denies: the same after a restart, so that counters go on. Never 0. */
export function denialNumber(denial: Denial): number {
  const number = numbers.get(denial) ?? numberOf(denial)
  if (texts.has(number)) return number
  texts.set(number, textOf(denial, someOf))
  const [oldest] = texts.keys()
  if (texts.size > mostTexts && oldest !== undefined) texts.delete(oldest)
  return number
}

function numberOf(denial: Denial): number {
  const text = textOf(denial, (policies) => policies.join(', '))
  const number = createHash('sha256').update(text).digest().readUInt32LE() || 1
  numbers.set(denial, number)
  return number
}

/** What a number stands for, in words; undefined when this process has made no entry with it. */
export function denialTextOf(number: number): string | undefined {
  return texts.get(number)
}
