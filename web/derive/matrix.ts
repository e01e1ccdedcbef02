// The table of pairs: by node, or by rack where there are many nodes. Pure.
import { type NodeRow, type ProbedPair } from '#/ui/contract.ts'
import { type Pair, pairKey } from './pairs.ts'
import { byRack } from './ring.ts'
import { pairWords, plural, worseOf } from './words.ts'

/** More nodes than this are told by groups. */
export const mostNodes = 48

export type Group = { readonly key: string; readonly title: string; readonly names: readonly string[] }

export type Cell = {
  readonly state: ProbedPair['state'] | 'unprobed' | 'self'
  readonly way?: ProbedPair['way']
  readonly words: string
}

/** Racks; nodes without one by their place in the order of names. Racks that are too large for one table are cut. */
export function groupsOf(nodes: ReadonlyMap<string, NodeRow>): Group[] {
  const groups = byRack(nodes.values()).flatMap(([rack, rows]): Group[] => {
    const names = rows.map(({ name }) => name)
    const parts = Array.from({ length: Math.ceil(names.length / mostNodes) }, (_, index) =>
      names.slice(index * mostNodes, (index + 1) * mostNodes),
    )
    return parts.map((part, index) => {
      const range = part.length === 1 ? part[0]! : `${part[0]} … ${part.at(-1)}`
      const title = rack === undefined ? range : parts.length === 1 ? rack : `${rack}, ${range}`
      return { key: `${rack ?? ''}#${index}`, title, names: part }
    })
  })
  return groups
}

export const unprobed: Cell = { state: 'unprobed', words: 'not probed: each node probes some others' }
const self: Cell = { state: 'self', words: 'the node itself' }

/** What the first node says of its way to the second one. */
export function cellOf(
  from: string,
  to: string,
  pairs: ReadonlyMap<string, Pair>,
  nodes: ReadonlyMap<string, Pick<NodeRow, 'state'>>,
): Cell {
  if (from === to) return self
  const told = pairs.get(pairKey(from, to))?.told.find((each) => each.from === from)
  if (told !== undefined) return { state: told.state, way: told.way, words: pairWords[told.state] }
  const isSilent = (name: string): boolean => nodes.get(name)?.state === 'silent'
  if (isSilent(from)) return { state: 'unprobed', words: `not known: the agent of ${from} does not answer` }
  if (isSilent(to)) return { state: 'unprobed', words: `not probed; the agent of ${to} does not answer` }
  return unprobed
}

/** What the nodes of one group say of their ways to those of another one, by `cellKey`: told once for all, since there may be thousands of ways. */
export function groupCells(groups: readonly Group[], pairs: ReadonlyMap<string, Pair>): Map<string, Cell> {
  const groupOf = new Map(groups.flatMap(({ key, names }) => names.map((name) => [name, key] as const)))
  const found = new Map<string, { state: ProbedPair['state']; count: number; wrong: number }>()
  for (const { told } of pairs.values())
    for (const { from, to, state } of told) {
      const key = cellKey(groupOf.get(from)!, groupOf.get(to)!)
      const wrong = state === 'ok' || state === 'unknown' ? 0 : 1
      const known = found.get(key)
      if (known === undefined) found.set(key, { state, count: 1, wrong })
      else {
        known.state = worseOf(known.state, state)
        known.count++
        known.wrong += wrong
      }
    }
  return new Map(
    [...found].map(([key, { state, count, wrong }]) => [key, { state, words: groupWords(state, count, wrong) }]),
  )
}

export const cellKey = (from: string, to: string): string => JSON.stringify([from, to])

function groupWords(state: ProbedPair['state'], count: number, wrong: number): string {
  return wrong === 0
    ? `${plural(count, 'probed way')}: ${pairWords[state]}`
    : `${wrong} of ${plural(count, 'probed way')}: at worst ${pairWords[state]}`
}
