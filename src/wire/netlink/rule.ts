// Policy routing rules: struct fib_rule_hdr and FRA_* (include/uapi/linux/fib_rules.h).
import { Addr, type Family, Prefix } from '#/lib/addr.ts'
import { viewOf, WireError } from '#/lib/bytes.ts'
import { addr, type Codec, nest, raw, text, u32, u8 } from './attr.ts'
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

export type PortRange = { readonly first: number; readonly last: number }

/** struct fib_rule_port_range */
const ports: Codec<PortRange> = {
  decode(bytes) {
    if (bytes.length < 4) throw new WireError('range of ports cut off', bytes.length)
    const view = viewOf(bytes)
    return { first: view.getUint16(0, true), last: view.getUint16(2, true) }
  },
  encode({ first, last }, into) {
    into.u16le(first)
    into.u16le(last)
  },
}

const ruleAttrs = nest({
  dst: [1, addr],
  src: [2, addr],
  iif: [3, text],
  goto: [4, u32],
  priority: [6, u32],
  mark: [10, u32],
  tunnel: [12, raw],
  suppressGroup: [13, u32],
  suppressLength: [14, u32],
  table: [15, u32],
  mask: [16, u32],
  oif: [17, text],
  l3mdev: [19, u8],
  uidRange: [20, raw],
  ipProtocol: [22, u8],
  sourcePorts: [23, ports],
  destinationPorts: [24, ports],
  dscp: [25, u8],
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
  /** Which bits of a packet's mark are compared; absent: the rule asks for allBits. */
  readonly mask?: number
  readonly ipProtocol?: number
  readonly sourcePorts?: PortRange
  readonly destinationPorts?: PortRange
  /** The priority of the rule with which the lookup goes on. */
  readonly goto?: number
  /** Routes whose prefixes are as short as this, or shorter, do not count. */
  readonly suppressLength?: number
  /** It asks for what no packet that is looked up here has: a user, a DSCP, a tunnel, a VRF. */
  readonly isBeyond?: true
  /** Whether the rule also asks for something that is no part of a route lookup here: a user, a protocol or ports. */
  readonly isNarrow: boolean
}

const headerBytes = 12
const FR_ACT_TO_TBL = 1
/** All bits of a mask, or -1. */
const allBits = 0xffff_ffff

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
  const isBeyond =
    view.getUint8(3) !== 0 ||
    [attrs.uidRange, attrs.tunnel, attrs.l3mdev, attrs.dscp].some((each) => each !== undefined) ||
    (attrs.suppressGroup ?? allBits) !== allBits
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
    ...(attrs.mark !== undefined && { mark: (attrs.mark & (attrs.mask ?? allBits)) >>> 0 }),
    ...((attrs.mark ?? attrs.mask) !== undefined && { mask: attrs.mask ?? allBits }),
    ...(attrs.ipProtocol !== undefined && { ipProtocol: attrs.ipProtocol }),
    ...(attrs.sourcePorts && { sourcePorts: attrs.sourcePorts }),
    ...(attrs.destinationPorts && { destinationPorts: attrs.destinationPorts }),
    ...(attrs.goto !== undefined && { goto: attrs.goto }),
    // the kernel tells -1 of a rule that suppresses nothing
    ...((attrs.suppressLength ?? allBits) !== allBits && { suppressLength: attrs.suppressLength }),
    ...(isBeyond && { isBeyond: true as const }),
    isNarrow: [attrs.uidRange, attrs.ipProtocol, attrs.sourcePorts, attrs.destinationPorts].some(Boolean),
  }
}
