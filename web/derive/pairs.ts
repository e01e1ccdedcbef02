// Pairs of nodes between which packets are probed, both directions together. Pure.
import { type NodeRow, type ProbedPair } from '#/ui/contract.ts'
import { byName } from '../state/state.ts'
import { worseOf } from './words.ts'

/** What one of both nodes says of the way to the other. */
export type Told = ProbedPair & { readonly from: string }

export type Pair = {
  readonly a: string
  readonly b: string
  readonly state: ProbedPair['state']
  readonly way: ProbedPair['way']
  readonly rttMs?: number
  readonly told: readonly Told[]
}

export const pairKey = (a: string, b: string): string => JSON.stringify(byName(a, b) < 0 ? [a, b] : [b, a])

/**
 * What a silent node said last is no news: only who answers now is believed. A way to a node that the picture does not have is left out.
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
  return new Map([...told].map(([key, each]) => [key, pairOf(key, each)]))
}

function pairOf(key: string, told: readonly Told[]): Pair {
  const [a, b] = JSON.parse(key) as [string, string]
  const worst = told.reduce((sofar, each) => (worseOf(sofar.state, each.state) === sofar.state ? sofar : each))
  const rtts = told.flatMap(({ rttMs }) => rttMs ?? [])
  return {
    a,
    b,
    state: worst.state,
    way: worst.way,
    ...(rtts.length > 0 && { rttMs: Math.max(...rtts) }),
    told,
  }
}

/** The middle one of the round trips of pairs that answer. */
export function medianRttMs(pairs: Iterable<Pair>): number | undefined {
  const all = [...pairs].flatMap(({ rttMs }) => rttMs ?? []).sort((a, b) => a - b)
  return all[Math.floor(all.length / 2)]
}
