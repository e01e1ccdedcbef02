// Converts ranges of addresses to set elements and back. An interval set keeps a range as two elements: its start, and, marked
// NFT_SET_ELEM_INTERVAL_END, the first address after it. A range up to the last possible address has no end element.
import { Addr, type Family } from '#/lib/addr.ts'
import { type ElementAttrs } from './messages.ts'
import { type Range } from './ranges.ts'

const INTERVAL_END = 1

/** The limit of ranges per message: an element has at most 36 bytes, and the attribute with all elements at most 64 KiB. */
const rangesPerMessage = 512

/** The elements for `ranges`, in portions that each fit a message; made as they are asked for. */
export function* encodeRanges(ranges: readonly Range[], interval: boolean): Generator<ElementAttrs[], void, void> {
  for (let start = 0; start < ranges.length; start += rangesPerMessage) {
    const portion = ranges.slice(start, start + rangesPerMessage)
    yield portion.flatMap((range) => (interval ? intervalElements(range) : [element(range.first)]))
  }
}

function element(addr: Addr): ElementAttrs {
  return { key: { value: addr.toBytes() } }
}

function intervalElements({ first, last }: Range): ElementAttrs[] {
  const isToTheEnd = last.value === lastAddr(last.family).value
  return isToTheEnd ? [element(first)] : [element(first), { ...element(last.plus(1)), flags: INTERVAL_END }]
}

function lastAddr(family: Family): Addr {
  return new Addr(family, (1n << (family === 4 ? 32n : 128n)) - 1n)
}

type Bound = { readonly addr: Addr; readonly isEnd: boolean }

/**
 * The contents of a set from the kernel's dump, sorted if the set has ranges. Undefined when any element is not an address or range:
 * elements that expire, that match everything, that do more than count, or keys of another length.
 */
export function decodeRanges(
  elements: readonly ElementAttrs[],
  family: Family,
  interval: boolean,
): Range[] | undefined {
  const bounds: Bound[] = []
  for (const { key, flags = 0, timeout, expression, expressions } of elements) {
    const bytes = key?.value
    const isOdd = flags > INTERVAL_END || timeout || expressions || (expression && expression.name !== 'counter')
    if (bytes?.length !== (family === 4 ? 4 : 16) || isOdd) return undefined
    bounds.push({ addr: Addr.fromBytes(bytes), isEnd: flags === INTERVAL_END })
  }
  if (!interval) return bounds.map(({ addr }) => ({ first: addr, last: addr }))
  // when one range ends at the address where the next starts, the end comes first
  return pair(
    bounds.toSorted((a, b) => a.addr.compare(b.addr) || Number(b.isEnd) - Number(a.isEnd)),
    family,
  )
}

function pair(bounds: readonly Bound[], family: Family): Range[] {
  const ranges: Range[] = []
  let open: Addr | undefined
  for (const { addr, isEnd } of bounds) {
    // `nft` writes an end at address zero before the first range, to say that no range covers the addresses before it: it closes no range
    if (open !== undefined) ranges.push({ first: open, last: addr.plus(-1) })
    open = isEnd ? undefined : addr
  }
  if (open !== undefined) ranges.push({ first: open, last: lastAddr(family) })
  return ranges
}
