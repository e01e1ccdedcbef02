// Blocks of addresses, less what they except, as the fewest prefixes that hold the same addresses.
import { Addr, families, type Family, Prefix } from '#/lib/addr.ts'

export type Block = { readonly cidr: Prefix; readonly except: readonly Prefix[] }

/** Addresses from `first` to `last`, both included. */
type Range = { readonly first: bigint; readonly last: bigint }

const rangeOf = (prefix: Prefix): Range => ({ first: prefix.addr.value, last: prefix.last.value })

/** Sorted, and neither overlapping nor touching. */
function merged(ranges: readonly Range[]): Range[] {
  const sorted = [...ranges].sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0))
  const result: Range[] = []
  for (const { first, last } of sorted) {
    const before = result.at(-1)
    if (before === undefined || first > before.last + 1n) result.push({ first, last })
    else if (last > before.last) result[result.length - 1] = { first: before.first, last }
  }
  return result
}

function without({ first, last }: Range, holes: readonly Range[]): Range[] {
  const result: Range[] = []
  let from = first
  for (const hole of merged(holes)) {
    if (hole.last < from) continue
    if (hole.first > last) break
    if (hole.first > from) result.push({ first: from, last: hole.first - 1n })
    from = hole.last + 1n
  }
  return from > last ? result : [...result, { first: from, last }]
}

/** From the first address on, always the largest prefix that starts there and does not go beyond the range. */
function prefixesOf(family: Family, { first, last }: Range): Prefix[] {
  const result: Prefix[] = []
  const { bits } = new Addr(family, first)
  for (let from = first; from <= last;) {
    let hostBits = 0
    while (
      hostBits < bits &&
      from % (1n << BigInt(hostBits + 1)) === 0n &&
      from + (1n << BigInt(hostBits + 1)) - 1n <= last
    )
      hostBits++
    result.push(new Prefix(new Addr(family, from), bits - hostBits))
    from += 1n << BigInt(hostBits)
  }
  return result
}

/** Sorted, IPv4 first. */
export function prefixesOfBlocks(blocks: readonly Block[]): Prefix[] {
  return families.flatMap((family) => {
    const ranges = blocks.flatMap(({ cidr, except }) =>
      cidr.family === family
        ? without(rangeOf(cidr), except.filter((each) => each.family === family).map(rangeOf))
        : [],
    )
    return merged(ranges).flatMap((range) => prefixesOf(family, range))
  })
}
