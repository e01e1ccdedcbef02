// Makes the row of a node out of what its agent answered, or did not, and what was known of it before. Pure.
import { type Outcome } from '#/api/client.ts'
import { type NodeSummary, type SummaryPair } from '#/api/schemas/summary.ts'
import { type NodeRow } from './contract.ts'

/** A row that is known, and when its node last answered. */
export type KnownRow = { readonly row: NodeRow; readonly heardMs?: number }

/** Round trips are as they were unless they differ by so much: else the rows of all nodes would change in every round. */
const rttShare = 0.3
const leastRttChangeMs = 0.1
/** A time is computed anew by the agent for each answer, out of two clocks. */
const clockJitterMs = 2_000

/** A row of a node that nobody has asked yet. */
export function unknownRow(name: string): NodeRow {
  return { name, state: 'unknown', addrs: [], podCIDRs: [], pairs: [], problems: [] }
}

function settledRtt(now: number | undefined, before: number | undefined): number | undefined {
  if (now === undefined || before === undefined) return now
  return Math.abs(now - before) <= Math.max(leastRttChangeMs, before * rttShare) ? before : now
}

function settledPair(now: SummaryPair, before: SummaryPair | undefined): SummaryPair {
  if (before === undefined || before.state !== now.state) return now
  const rttMs = settledRtt(now.rttMs, before.rttMs)
  const isSame = Math.abs(now.sinceMs - before.sinceMs) <= clockJitterMs
  return { ...now, ...(isSame && { sinceMs: before.sinceMs }), ...(rttMs !== undefined && { rttMs }) }
}

/** Racks that are numbers are named, so that they are not taken for counts. */
function groupOf({ rack, zone }: NodeSummary): string | undefined {
  return rack !== undefined && /^\d+$/.test(rack) ? `rack ${rack}` : (rack ?? zone)
}

function answeringRow(name: string, summary: NodeSummary, before: NodeRow | undefined): NodeRow {
  const { node: _, readiness, pairs, ...told } = summary
  const known = new Map(before?.pairs.map((each) => [each.to, each]))
  const rack = groupOf(summary)
  return {
    ...told,
    name,
    state: readiness,
    ...(rack !== undefined && { rack }),
    pairs: pairs.map((each) => settledPair(each, known.get(each.to))),
  }
}

/** What is left of a row when its node falls silent: what others know of the node too, and what does not change with every second. */
function silentRow(name: string, why: string, { row, heardMs }: Partial<KnownRow>): NodeRow {
  const { why: _, heardMs: __, ...known } = row ?? unknownRow(name)
  return { ...known, state: 'silent', why, ...(heardMs !== undefined && { heardMs }), pairs: [], problems: [] }
}

/** Why an outcome is no answer. */
export function whyNot(outcome: Exclude<Outcome<unknown>, { kind: 'answer' }>): string {
  return outcome.kind === 'refusal' ? `the agent answers ${outcome.status}: ${outcome.message}` : outcome.message
}

/** A row as JSON. With twenty long problems it has some 40 kB; what has more was not made by an agent that is well. */
const mostRowChars = 256 << 10

/** The row as JSON, and that it is silent in place of one that would fill the memory of pages. */
export function boundedRow(
  name: string,
  known: KnownRow,
  before: KnownRow | undefined,
): KnownRow & { readonly text: string } {
  const text = JSON.stringify(known.row)
  if (text.length <= mostRowChars) return { ...known, text }
  const why = `its answer is longer than ${mostRowChars >> 10} kB, which that of no agent is`
  const row = silentRow(before?.row.name ?? name, why, before ?? {})
  return { row, text: JSON.stringify(row), ...(before?.heardMs !== undefined && { heardMs: before.heardMs }) }
}

/** `isAlone`: on a node alone its name is known only by its answer. */
export function rowOf(
  name: string,
  outcome: Outcome<NodeSummary>,
  before: KnownRow | undefined,
  { nowMs, isAlone = false }: { readonly nowMs: number; readonly isAlone?: boolean },
): KnownRow {
  const keep = before?.heardMs === undefined ? {} : { heardMs: before.heardMs }
  if (outcome.kind !== 'answer') return { row: silentRow(name, whyNot(outcome), before ?? {}), ...keep }
  const { node } = outcome.value
  if (node !== name && !isAlone)
    return { row: silentRow(name, `it answers in the name of node ${node}`, before ?? {}), ...keep }
  return { row: answeringRow(node, outcome.value, before?.row), heardMs: nowMs }
}
