// Pairs of nodes between which packets are probed, both directions together. Pure.
import { type NodeRow, type ProbedPair } from '#/ui/contract.ts'
import { worseOf } from './words.ts'

/** What one of both nodes says of the way to the other. */
export type Told = ProbedPair & { readonly from: string }

export type Pair = {
  /** The one that comes first in the order of nodes. */
  readonly a: string
  readonly b: string
  readonly state: ProbedPair['state']
  readonly way: ProbedPair['way']
  readonly rttMs?: number
  readonly told: readonly Told[]
}

/** The same for both directions. No name holds the character between. */
export const pairKey = (a: string, b: string): string => (a < b ? `${a}\0${b}` : `${b}\0${a}`)

/**
 * What a silent node said last is no news: only who answers now is believed. A way to a node that the picture does not have is left out. There are
 * thousands of pairs, and they are told anew when a row has changed: names are compared as they are.
 */
export function pairsOf(nodes: ReadonlyMap<string, NodeRow>): Map<string, Pair> {
  const told = new Map<string, Told[]>()
  for (const { name, state, pairs } of nodes.values()) {
    if (state === 'silent') continue
    for (const pair of pairs) {
      if (!nodes.has(pair.to)) continue
      const key = pairKey(name, pair.to)
      const own = told.get(key)
      if (own === undefined) told.set(key, [{ ...pair, from: name }])
      else own.push({ ...pair, from: name })
    }
  }
  const order = new Map([...nodes.keys()].map((name, index) => [name, index]))
  return new Map([...told].map(([key, each]) => [key, pairOf(each, order)]))
}

function pairOf(told: readonly Told[], order: ReadonlyMap<string, number>): Pair {
  const [first] = told as readonly [Told]
  const isInOrder = order.get(first.from)! < order.get(first.to)!
  const worst = told.reduce((sofar, each) => (worseOf(sofar.state, each.state) === sofar.state ? sofar : each))
  const rtts = told.flatMap(({ rttMs }) => (rttMs === undefined ? [] : [rttMs]))
  return {
    a: isInOrder ? first.from : first.to,
    b: isInOrder ? first.to : first.from,
    state: worst.state,
    way: worst.way,
    ...(rtts.length > 0 && { rttMs: Math.max(...rtts) }),
    told,
  }
}

/** The middle one of the round trips of pairs that answer. */
export function medianRttMs(pairs: Iterable<Pair>): number | undefined {
  const all = Float64Array.from([...pairs].flatMap(({ rttMs }) => rttMs ?? [])).sort()
  return all[Math.floor(all.length / 2)]
}
