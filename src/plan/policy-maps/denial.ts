// What denies a packet, and the number by which programs know it. Pure.
import { createHash } from 'node:crypto'
import { type Direction, type RuleRef, ruleRefText } from '#/policy/policy.ts'

export type Denial =
  | { readonly kind: 'rule'; readonly rule: RuleRef }
  /** NetworkPolicies select the pod, and no rule of theirs allows the packet. */
  | { readonly kind: 'isolated'; readonly direction: Direction; readonly by: readonly string[] }

/** "clusternetworkpolicy/base ingress 0", "networkpolicy/shop/db ingress, none of its rules". */
export function denialText(denial: Denial): string {
  if (denial.kind === 'rule') return ruleRefText(denial.rule)
  const { direction, by } = denial
  return `${by.join(', ')} ${direction}, none of ${by.length === 1 ? 'its' : 'their'} rules`
}

const numbers = new Map<string, number>()
const texts = new Map<number, string>()
/** More than a node's maps hold. */
const mostKnown = 131_072

/** The first 32 bits of SHA-256 over its text: the same after a restart, so that counters go on. Never 0. */
export function denialNumber(denial: Denial): number {
  const text = denialText(denial)
  const known = numbers.get(text)
  if (known !== undefined) return known
  const number = createHash('sha256').update(text).digest().readUInt32LE() || 1
  if (numbers.size >= mostKnown) {
    numbers.clear()
    texts.clear()
  }
  numbers.set(text, number)
  texts.set(number, text)
  return number
}

/** The text of a number; undefined when this process has made no entry with it. */
export function denialTextOf(number: number): string | undefined {
  return texts.get(number)
}
