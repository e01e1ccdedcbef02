// The connectivity matrix as text for a quick look. Pure.
import { styleText } from 'node:util'
import type { Family } from '#/lib/addr.ts'
import { someOf } from '#/lib/some-of.ts'
import { table, widthOf } from '#/lib/table.ts'
import { wrapText } from '#/lib/wrap.ts'
import type { ProbePod, ProbeResult, Protocol } from './types.ts'

/** With more pods than this the matrix shows nodes instead of pods. */
const podsShown = 12
const nothingHere = '-'

type Paint = (colour: 'green' | 'red', text: string) => string

/** The probes of one cell. */
type Cell = readonly ProbeResult[]

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`
}

/** Which of the probes failed, in the shortest form: "all", "v6", "tcp", "tcp v6, icmp v4". */
function failedPart(cell: Cell): string {
  const isFailedExactly = (part: (probe: ProbeResult) => boolean): boolean =>
    cell.some(part) && cell.every((probe) => probe.ok !== part(probe))
  if (cell.every(({ ok }) => !ok)) return 'all'
  for (const family of [4, 6] satisfies Family[])
    if (isFailedExactly((probe) => probe.family === family)) return `v${family}`
  for (const protocol of ['icmp', 'tcp'] satisfies Protocol[])
    if (isFailedExactly((probe) => probe.protocol === protocol)) return protocol
  return cell
    .filter(({ ok }) => !ok)
    .map(({ protocol, family }) => `${protocol} v${family}`)
    .join(', ')
}

function podCell(cell: Cell, paint: Paint): string {
  if (cell.length === 0) return nothingHere
  return cell.every(({ ok }) => ok) ? paint('green', 'ok') : paint('red', `✗ ${failedPart(cell)}`)
}

function nodeCell(cell: Cell, paint: Paint): string {
  if (cell.length === 0) return nothingHere
  const good = cell.filter(({ ok }) => ok).length
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
  const isBad = (cell: Cell): boolean => cell.some(({ ok }) => !ok)
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
  const good = results.filter(({ ok }) => ok).length
  const times = [...timing(results, 'icmp'), ...timing(results, 'tcp')]
  const counts = `${count(pairs, 'pair', 'pairs')}, ${count(results.length, 'probe', 'probes')}`
  const end = times.length === 0 ? '' : ` (${times.join(', ')})`
  return `${counts}: ${good} ok, ${results.length - good} failed${end}`
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

/** A line for each cause, in the kernel's words: how often, where, and an example. */
function failures(pods: readonly ProbePod[], results: readonly ProbeResult[]): string[] {
  const nodeOf = new Map(pods.map(({ name, node }) => [name, node]))
  const groups = Map.groupBy(
    results.filter(({ ok }) => !ok),
    ({ problem }) => problem ?? 'failed',
  )
  return [...groups]
    .toSorted(([, a], [, b]) => b.length - a.length)
    .map(([problem, failed]) => {
      const { from, to, protocol, family } = failed[0]!
      const example = `${from} → ${to} ${protocol} v${family}`
      if (failed.length === 1) return `${example}: ${problem}`
      return `${failed.length} probes${placeOf(failed, nodeOf)}: ${problem}; such as ${example}`
    })
}

/**
 * The matrix (rows try columns; "ok", or what failed), a summary line, and a line for each cause of failures.
 * With many pods it is a matrix of nodes, whose cells say how many probes of how many were ok; where that is wider than
 * `width`, a list of the nodes that are not ok with all others.
 */
export function renderMatrix(
  pods: readonly ProbePod[],
  results: readonly ProbeResult[],
  { color = false, width = Infinity }: { readonly color?: boolean; readonly width?: number } = {},
): string {
  // the caller decides about colours, not the stream that styleText would look at
  const paint: Paint = (colour, text) => (color ? styleText(colour, text, { validateStream: false }) : text)
  const lines = [summary(results), ...failures(pods, results)].map((line) => wrapText(line, width))
  return [matrixOf(pods, results, paint, width), '', ...lines].join('\n')
}
