// The connectivity matrix as text for a quick look. Pure.
import { styleText } from 'node:util'
import type { Family } from '#/lib/addr.ts'
import { someOf } from '#/lib/some-of.ts'
import { table, widthOf } from '#/lib/table.ts'
import { wrapText } from '#/lib/wrap.ts'
import { isAsItShouldBe, type ProbePod, type ProbeResult, type Protocol, protocols } from './types.ts'

/** With more pods than this the matrix shows nodes instead of pods. */
const podsShown = 12
const denialsShown = 5
const nothingHere = '-'

type Paint = (colour: 'green' | 'yellow' | 'red', text: string) => string

/** The probes of one cell. */
type Cell = readonly ProbeResult[]

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`
}

/** Which of the probes are meant, in the shortest form: "all", "v6", "tcp", "tcp v6, icmp v4". */
function partOf(cell: Cell, isMeant: (probe: ProbeResult) => boolean): string {
  const isExactly = (part: (probe: ProbeResult) => boolean): boolean =>
    cell.some(part) && cell.every((probe) => isMeant(probe) === part(probe))
  if (cell.every(isMeant)) return 'all'
  for (const family of [4, 6] satisfies Family[]) if (isExactly((probe) => probe.family === family)) return `v${family}`
  for (const protocol of protocols) if (isExactly((probe) => probe.protocol === protocol)) return protocol
  return cell
    .filter(isMeant)
    .map(({ protocol, family }) => `${protocol} v${family}`)
    .join(', ')
}

function podCell(cell: Cell, paint: Paint): string {
  if (cell.length === 0) return nothingHere
  const part = (meant: ProbeResult['outcome']): string => partOf(cell, ({ outcome }) => outcome === meant)
  const has = (meant: ProbeResult['outcome']): boolean => cell.some(({ outcome }) => outcome === meant)
  if (has('leak')) return paint('red', `LEAK ${part('leak')}`)
  if (has('broken')) return paint('red', `✗ ${part('broken')}`)
  if (!has('denied')) return paint('green', 'ok')
  return has('ok') ? paint('yellow', `ok ${part('ok')}`) : paint('yellow', 'denied')
}

function nodeCell(cell: Cell, paint: Paint): string {
  if (cell.length === 0) return nothingHere
  const good = cell.filter(isAsItShouldBe).length
  return paint(good === cell.length ? 'green' : 'red', `${good}/${cell.length}`)
}

function cellsOf(
  results: readonly ProbeResult[],
  groupOf: (pod: string) => string,
): (from: string, to: string) => Cell {
  const key = (from: string, to: string): string => JSON.stringify([from, to])
  const cells = Map.groupBy(results, ({ from, to }) => key(groupOf(from), groupOf(to)))
  return (from, to) => cells.get(key(from, to)) ?? []
}

function podMatrix(pods: readonly ProbePod[], results: readonly ProbeResult[], paint: Paint): string {
  const cellOf = cellsOf(results, (pod) => pod)
  return table(
    ['from \\ to', 'node', ...pods.map(({ name }) => name)],
    pods.map((from) => [from.name, from.node, ...pods.map((to) => podCell(cellOf(from.name, to.name), paint))]),
  )
}

function nodeMatrix(pods: readonly ProbePod[], results: readonly ProbeResult[], paint: Paint): string {
  const nodeOf = new Map(pods.map(({ name, node }) => [name, node]))
  const nodes = [...new Set(pods.map(({ node }) => node))]
  const podsOn = (node: string): number => pods.filter((pod) => pod.node === node).length
  const cellOf = cellsOf(results, (pod) => nodeOf.get(pod) ?? nothingHere)
  return table(
    ['from \\ to', 'pods', ...nodes],
    nodes.map((from) => [from, String(podsOn(from)), ...nodes.map((to) => nodeCell(cellOf(from, to), paint))]),
  )
}

/** The nodes with a failed probe, and their partners; used when the matrix would be too wide. */
function nodeList(pods: readonly ProbePod[], results: readonly ProbeResult[], paint: Paint): string {
  const nodeOf = new Map(pods.map(({ name, node }) => [name, node]))
  const nodes = [...new Set(pods.map(({ node }) => node))]
  const cellOf = cellsOf(results, (pod) => nodeOf.get(pod) ?? nothingHere)
  const outcome = (cells: readonly Cell[]): string => nodeCell(cells.flat(), paint)
  const isBad = (cell: Cell): boolean => !cell.every(isAsItShouldBe)
  const badWith = new Map(
    nodes.map((node) => [node, nodes.filter((other) => isBad(cellOf(node, other)) || isBad(cellOf(other, node)))]),
  )
  // all others fail with a node that is gone: a node whose only failures are with gone nodes is not listed
  const isGone = (node: string): boolean => badWith.get(node)!.length > nodes.length / 2
  const isShown = (node: string): boolean => isGone(node) || badWith.get(node)!.some((other) => !isGone(other))
  const rows = nodes.filter(isShown).map((node) => {
    const to = nodes.map((other) => cellOf(node, other))
    const from = nodes.map((other) => cellOf(other, node))
    return [node, outcome(to), outcome(from), someOf(badWith.get(node)!)]
  })
  const good = nodes.length - rows.length
  const rest = `${count(good, 'node', 'nodes')} of ${nodes.length}: ${paint('green', 'ok')} to and from all ${rows.length === 0 ? 'others' : 'but these'}`
  if (rows.length === 0) return rest
  return [table(['NODE', 'OK TO', 'OK FROM', 'NOT OK WITH'], rows), ...(good === 0 ? [] : [rest])].join('\n')
}

/** The most detailed form that fits. */
function matrixOf(pods: readonly ProbePod[], results: readonly ProbeResult[], paint: Paint, width: number): string {
  const forms = [...(pods.length > podsShown ? [] : [podMatrix]), nodeMatrix]
  for (const form of forms) {
    const text = form(pods, results, paint)
    if (text.split('\n').every((line) => widthOf(line) <= width)) return text
  }
  return nodeList(pods, results, paint)
}

/** The value that this share of the (sorted) values does not exceed. */
function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
}

function timing(results: readonly ProbeResult[], protocol: Protocol): string[] {
  const times = results.flatMap((probe) =>
    probe.protocol === protocol && probe.rttMs !== undefined ? [probe.rttMs] : [],
  )
  if (times.length === 0) return []
  times.sort((a, b) => a - b)
  return [`${protocol} p50 ${quantile(times, 0.5).toFixed(2)} ms p99 ${quantile(times, 0.99).toFixed(2)} ms`]
}

function summary(results: readonly ProbeResult[]): string {
  const pairs = new Set(results.map(({ from, to }) => JSON.stringify([from, to]))).size
  const number = (meant: ProbeResult['outcome']): number => results.filter(({ outcome }) => outcome === meant).length
  const [denied, leaked] = [number('denied'), number('leak')]
  const parts = [
    `${number('ok')} ok`,
    ...(denied + leaked > 0 ? [`${denied} denied by policy`] : []),
    `${number('broken')} failed`,
    ...(leaked > 0 ? [`${leaked} LEAKED: a policy forbids them, and they arrived`] : []),
  ]
  const times = [...timing(results, 'icmp'), ...timing(results, 'tcp')]
  const counts = `${count(pairs, 'pair', 'pairs')}, ${count(results.length, 'probe', 'probes')}`
  const end = times.length === 0 ? '' : ` (${times.join(', ')})`
  return `${counts}: ${parts.join(', ')}${end}`
}

/** The node that all of these failures have in common, if there is one. */
function placeOf(failed: readonly ProbeResult[], nodeOf: ReadonlyMap<string, string>): string {
  const ends = failed.map(({ from, to }) => [nodeOf.get(from), nodeOf.get(to)] as const)
  for (const node of new Set(ends.flat())) {
    if (node === undefined) continue
    if (ends.every(([from, to]) => from === node && to === node)) return ` within ${node}`
    if (ends.every(([from]) => from === node)) return ` from ${node}`
    if (ends.every(([, to]) => to === node)) return ` to ${node}`
    if (ends.every((both) => both.includes(node))) return ` from and to ${node}`
  }
  return ''
}

/** A line for each cause of these probes' outcome: how often, where, and an example. */
function causes(
  pods: readonly ProbePod[],
  probes: readonly ProbeResult[],
  causeOf: (probe: ProbeResult) => string,
): string[] {
  const nodeOf = new Map(pods.map(({ name, node }) => [name, node]))
  return [...Map.groupBy(probes, causeOf)]
    .toSorted(([, a], [, b]) => b.length - a.length)
    .map(([cause, alike]) => {
      const { from, to, protocol, family } = alike[0]!
      const example = `${from} → ${to} ${protocol} v${family}`
      if (alike.length === 1) return `${example}: ${cause}`
      return `${alike.length} probes${placeOf(alike, nodeOf)}: ${cause}; such as ${example}`
    })
}

/** What is wrong comes first; of what policies deny the most frequent causes are told. */
function explanations(pods: readonly ProbePod[], results: readonly ProbeResult[]): string[] {
  const those = (meant: ProbeResult['outcome']): ProbeResult[] => results.filter(({ outcome }) => outcome === meant)
  const denials = causes(pods, those('denied'), ({ deniedBy = '' }) => deniedBy)
  const rest = denials.length - denialsShown
  return [
    ...causes(pods, those('leak'), ({ deniedBy }) => `LEAKED, though ${deniedBy}`),
    ...causes(pods, those('broken'), ({ problem }) => problem ?? 'failed'),
    ...denials.slice(0, denialsShown),
    ...(rest > 0 ? [`… and ${count(rest, 'other reason', 'other reasons')} of policies`] : []),
  ]
}

/**
 * The matrix (rows try columns; "ok", "denied" by policy, which part is ok where policies allow only that, or what failed), a summary line,
 * and a line for each cause.
 * With many pods it is a matrix of nodes, whose cells say how many probes of how many were as they should be; where that is wider than
 * `width`, a list of the nodes that are not ok with all others.
 */
export function renderMatrix(
  pods: readonly ProbePod[],
  results: readonly ProbeResult[],
  { color = false, width = Infinity }: { readonly color?: boolean; readonly width?: number } = {},
): string {
  // the caller decides about colours, not the stream that styleText would look at
  const paint: Paint = (colour, text) => (color ? styleText(colour, text, { validateStream: false }) : text)
  const lines = [summary(results), ...explanations(pods, results)].map((line) => wrapText(line, width))
  return [matrixOf(pods, results, paint, width), '', ...lines].join('\n')
}
