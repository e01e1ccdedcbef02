// The connectivity matrix as text that a person reads at once. Pure.
import { styleText } from 'node:util'
import type { Family } from '#/lib/addr.ts'
import { table, textWidth, wrap } from '#/lib/table.ts'
import { failureLines, type NodeOf, troubledNodes } from './failures.ts'
import type { ProbePod, ProbeResult, Protocol } from './types.ts'

/** With more pods than this the matrix is one of nodes. */
const podsShown = 12
const nothingHere = '-'

type Paint = (colour: 'green' | 'red', text: string) => string

/** The probes of one cell. */
type Cell = readonly ProbeResult[]

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`
}

/** Which of the probes failed, as short as it can be said: "all", "v6", "tcp", "tcp v6, icmp v4". */
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

function nodeLookup(pods: readonly ProbePod[]): NodeOf {
  const nodes = new Map(pods.map(({ name, node }) => [name, node]))
  return (pod) => nodes.get(pod) ?? nothingHere
}

function nodeMatrix(pods: readonly ProbePod[], results: readonly ProbeResult[], paint: Paint): string {
  const nodes = [...new Set(pods.map(({ node }) => node))]
  const podsOn = (node: string): number => pods.filter((pod) => pod.node === node).length
  const cellOf = cellsOf(results, nodeLookup(pods))
  return table(
    ['from \\ to', 'pods', ...nodes],
    nodes.map((from) => [from, String(podsOn(from)), ...nodes.map((to) => nodeCell(cellOf(from, to), paint))]),
  )
}

/** Where a matrix finds no room: only what is not ok, by node. */
function troubles(pods: readonly ProbePod[], results: readonly ProbeResult[], paint: Paint, columns: number): string {
  const nodeOf = nodeLookup(pods)
  const nodes = new Set(pods.map(({ node }) => node))
  const all = `${count(nodes.size, 'node', 'nodes')} with ${count(pods.length, 'pod', 'pods')}`
  const found = troubledNodes(results, nodeOf)
  if (found.length === 0) return `${all}: ${paint('green', 'ok')} from every pod to every pod`
  const rows = found.map(({ node, peers }, index) => {
    // what failed with a node that has a row already counts there
    const before = new Set(found.slice(0, index).map((each) => each.node))
    const rest = results.filter(({ from, to }) => !before.has(nodeOf(from)) && !before.has(nodeOf(to)))
    const others = peers.filter((peer) => peer !== node)
    const names = others.length > 1 && others.length === nodes.size - 1 ? ['every other node'] : others
    return [
      node,
      nodeCell(
        rest.filter(({ from }) => nodeOf(from) === node),
        paint,
      ),
      nodeCell(
        rest.filter(({ to }) => nodeOf(to) === node),
        paint,
      ),
      [...(peers.includes(node) ? ['itself'] : []), ...names].join(', '),
    ]
  })
  const others = nodes.size - found.length
  return [
    `${all}; probes that were ok, of nodes where some were not:`,
    table(['node', 'from it', 'to it', 'fails with'], rows, { columns }),
    ...(others > 0 ? [`${count(others, 'other node', 'other nodes')}: all ok between them`] : []),
  ].join('\n')
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

export type MatrixStyle = {
  readonly color?: boolean
  /** The room there is; without limit when not given. */
  readonly columns?: number
}

/**
 * The matrix (rows try columns; "ok", or what failed), a summary line, and a line for each cause of failures. With many pods it
 * is a matrix of nodes, whose cells say how many probes of how many were ok; where that is too wide it tells only of nodes with
 * failures.
 */
export function renderMatrix(
  pods: readonly ProbePod[],
  results: readonly ProbeResult[],
  { color = false, columns = Infinity }: MatrixStyle = {},
): string {
  // whether colours are wanted is the caller's decision, not that of the stream that styleText would look at
  const paint: Paint = (colour, text) => (color ? styleText(colour, text, { validateStream: false }) : text)
  const forms = pods.length > podsShown ? [nodeMatrix] : [podMatrix, nodeMatrix]
  const matrix = forms.map((form) => form(pods, results, paint)).find((text) => textWidth(text) <= columns)
  const lines = [summary(results), ...failureLines(results, nodeLookup(pods))]
  return [matrix ?? troubles(pods, results, paint, columns), '', ...lines.map((line) => wrap(line, columns))].join('\n')
}
