// Lists of numbers in a rule: ports, protocols, types. One number is compared with; for more, nft and we give the rule a set without a name,
// which belongs to the rule and goes with it.
import { type ElementAttrs } from './messages.ts'
import { keyTypes, SET_ANONYMOUS, SET_CONSTANT, SET_INTERVAL } from './numbers.ts'
import { type NumberRange } from './ruleset.ts'

const valueBytes = { ether_type: 2, inet_proto: 1, inet_service: 2, icmp_type: 1, icmpv6_type: 1 } as const
export type ValueType = keyof typeof valueBytes

const INTERVAL_END = 1
const typeNames = new Map(
  Object.keys(valueBytes).map((name) => [keyTypes[name as ValueType] as number, name as ValueType]),
)

/** `ranges` are sorted, and neither overlap nor touch. */
export type ValueSet = { readonly type: ValueType; readonly ranges: readonly NumberRange[] }

/** The set of these numbers. */
export function valueSet(type: ValueType, ranges: readonly NumberRange[]): ValueSet {
  return { type, ranges: mergeNumbers(ranges) }
}

/** The same numbers, sorted, in as few ranges as possible. */
export function mergeNumbers(ranges: readonly NumberRange[]): NumberRange[] {
  const merged: NumberRange[] = []
  for (const range of ranges.toSorted((a, b) => a.first - b.first)) {
    const before = merged.at(-1)
    if (before === undefined || range.first > before.last + 1) merged.push(range)
    else if (range.last > before.last) merged[merged.length - 1] = { first: before.first, last: range.last }
  }
  return merged
}

export function valueRangeText({ first, last }: NumberRange): string {
  return first === last ? String(first) : `${first}-${last}`
}

/** What a set holds, as text that is equal for sets that hold the same. */
export function valueSetText({ type, ranges }: ValueSet): string {
  return `${type}{${ranges.map(valueRangeText).join(',')}}`
}

/** A number in network order. */
export function encodeValue(type: ValueType, value: number): Uint8Array {
  return valueBytes[type] === 1 ? Uint8Array.of(value) : Uint8Array.of(value >> 8, value & 0xff)
}

/** The attributes of the set in the kernel, and its elements. Ranges make it an interval set, as nft does. */
export function encodeValueSet({ type, ranges }: ValueSet): {
  readonly flags: number
  readonly keyType: number
  readonly keyLength: number
  readonly elements: readonly ElementAttrs[]
} {
  const isInterval = ranges.some(({ first, last }) => first !== last)
  const element = (value: number): ElementAttrs => ({ key: { value: encodeValue(type, value) } })
  const most = 256 ** valueBytes[type] - 1
  return {
    flags: SET_ANONYMOUS | SET_CONSTANT | (isInterval ? SET_INTERVAL : 0),
    keyType: keyTypes[type],
    keyLength: valueBytes[type],
    elements: ranges.flatMap(({ first, last }) =>
      isInterval && last < most ? [element(first), { ...element(last + 1), flags: INTERVAL_END }] : [element(first)],
    ),
  }
}

/** A set without a name as the kernel dumps it; undefined for one that we never make. */
export function decodeValueSet(
  keyType: number,
  flags: number,
  elements: readonly ElementAttrs[],
): ValueSet | undefined {
  const type = typeNames.get(keyType)
  if (type === undefined || (flags & ~SET_INTERVAL) !== (SET_ANONYMOUS | SET_CONSTANT)) return undefined
  const bounds: { readonly value: number; readonly isEnd: boolean }[] = []
  for (const { key, flags: bits = 0, data, timeout, expression, expressions } of elements) {
    if (bits > INTERVAL_END || data || timeout || expression || expressions) return undefined
    if (key?.value?.length !== valueBytes[type]) return undefined
    bounds.push({ value: key.value.reduce((sum, byte) => sum * 256 + byte, 0), isEnd: bits === INTERVAL_END })
  }
  if ((flags & SET_INTERVAL) === 0)
    return valueSet(
      type,
      bounds.map(({ value }) => ({ first: value, last: value })),
    )
  const ranges: NumberRange[] = []
  let open: number | undefined
  for (const { value, isEnd } of bounds.toSorted((a, b) => a.value - b.value || Number(b.isEnd) - Number(a.isEnd))) {
    if (open !== undefined) ranges.push({ first: open, last: value - 1 })
    open = isEnd ? undefined : value
  }
  if (open !== undefined) ranges.push({ first: open, last: 256 ** valueBytes[type] - 1 })
  return valueSet(type, ranges)
}
