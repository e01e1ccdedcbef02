// Policy routing rules: struct fib_rule_hdr and FRA_* (include/uapi/linux/fib_rules.h).
import { Addr, type Family, Prefix } from '#/lib/addr.ts'
import { viewOf, WireError } from '#/lib/bytes.ts'
import { addr, nest, raw, text, u32 } from './attr.ts'
import { familyOf } from './family.ts'

export const RTM_NEWRULE = 32
export const RTM_DELRULE = 33
export const RTM_GETRULE = 34

const FIB_RULE_INVERT = 2

/** The actions of rules that end a lookup without a route (FR_ACT_* of linux/fib_rules.h). */
const deadActions: Readonly<Record<number, 'blackhole' | 'unreachable' | 'prohibit'>> = {
  6: 'blackhole',
  7: 'unreachable',
  8: 'prohibit',
}

const ruleAttrs = nest({
  dst: [1, addr],
  src: [2, addr],
  iif: [3, text],
  priority: [6, u32],
  mark: [10, u32],
  table: [15, u32],
  mask: [16, u32],
  oif: [17, text],
  uidRange: [20, raw],
  ipProtocol: [22, raw],
  sourcePorts: [23, raw],
  destinationPorts: [24, raw],
})

/** A rule as far as it decides about packets between pods. */
export type Rule = {
  readonly family: Family
  readonly priority: number
  /** The table that the rule looks in; undefined for a rule with another action. */
  readonly table: number | undefined
  /** Set for a rule that ends the lookup without a route. */
  readonly dead?: 'blackhole' | 'unreachable' | 'prohibit'
  readonly isInverted: boolean
  readonly dst?: Prefix
  readonly src?: Prefix
  readonly iif?: string
  readonly oif?: string
  readonly mark?: number
  /** Whether the rule also asks for something that is no part of a route lookup here: a user, a protocol or ports. */
  readonly isNarrow: boolean
}

const headerBytes = 12
const FR_ACT_TO_TBL = 1

/** Decodes a rule; undefined for families other than IP. */
export function decodeRule(payload: Uint8Array): Rule | undefined {
  if (payload.length < headerBytes) throw new WireError('rule message cut off', payload.length)
  const view = viewOf(payload)
  const family = familyOf(view.getUint8(0))
  if (family === undefined) return undefined
  const attrs = ruleAttrs.decode(payload.subarray(headerBytes))
  const action = view.getUint8(7)
  const dead = deadActions[action]
  const prefix = (value: Addr | undefined, length: number): Prefix | undefined => {
    if (length === 0) return undefined
    const found = value ?? new Addr(family, 0n)
    if (found.family !== family || length > found.bits) throw new WireError(`rule for ${found}/${length}`, 1)
    return new Prefix(found, length)
  }
  const dst = prefix(attrs.dst, view.getUint8(1))
  const src = prefix(attrs.src, view.getUint8(2))
  return {
    family,
    priority: attrs.priority ?? 0,
    table: action === FR_ACT_TO_TBL ? (attrs.table ?? view.getUint8(4)) : undefined,
    ...(dead && { dead }),
    isInverted: (view.getUint32(8, true) & FIB_RULE_INVERT) !== 0,
    ...(dst && { dst }),
    ...(src && { src }),
    ...(attrs.iif !== undefined && { iif: attrs.iif }),
    ...(attrs.oif !== undefined && { oif: attrs.oif }),
    ...(attrs.mark !== undefined && { mark: attrs.mark & (attrs.mask ?? 0xffff_ffff) }),
    isNarrow: [attrs.uidRange, attrs.ipProtocol, attrs.sourcePorts, attrs.destinationPorts].some(Boolean),
  }
}
