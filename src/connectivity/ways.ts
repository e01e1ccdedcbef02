// Between which nodes packets are sent, and which nodes are tested. Pure.
import { byNumberedName } from '#/lib/numbered-names.ts'

/** All ordered pairs of so many nodes. */
const fewNodes = 4

/** So many of these, spread over all of them in the order of their names; all where `count` is undefined. */
export function sampleOf(names: readonly string[], count: number | undefined): string[] {
  const sorted = names.toSorted(byNumberedName)
  if (count === undefined || count >= sorted.length) return sorted
  return Array.from({ length: count }, (_, index) => sorted[Math.floor((index * sorted.length) / count)]!)
}

/** Each node to the next one: each sends, and each receives. */
export function ring<T>(nodes: readonly T[]): (readonly [T, T])[] {
  if (nodes.length < 2) return []
  return nodes.map((from, index) => [from, nodes[(index + 1) % nodes.length]!] as const)
}

/** Pairs of nodes: all of a few; of more, each to the next one and to one on the other side. */
export function waysBetween<T>(nodes: readonly T[]): (readonly [T, T])[] {
  if (nodes.length <= fewNodes)
    return nodes.flatMap((from) => nodes.filter((to) => to !== from).map((to) => [from, to] as const))
  const across = Math.floor(nodes.length / 2)
  return [...ring(nodes), ...nodes.map((from, index) => [from, nodes[(index + across) % nodes.length]!] as const)]
}
