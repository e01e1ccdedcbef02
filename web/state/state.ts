// What the page knows, and how each line of the live stream changes it. Pure.
import { byText } from '#/lib/by-text.ts'
import { byNumberedName } from '#/lib/numbered-names.ts'
import { type DoctorState, type LiveLine, type NodeRow, type Times } from '#/ui/contract.ts'

/**
 * How the page stands to the command that serves it. connecting: nothing was heard yet. live. lost: it does not answer, and is asked again. strange:
 * it was started anew and does not know this page's token. unseen: nobody looks at the tab, which leaves its connection to others.
 */
export type Link = 'connecting' | 'live' | 'lost' | 'strange' | 'unseen'

export type State = {
  readonly link: Link
  /** Why it is lost. */
  readonly why?: string
  /** When the last line came. All times are by the command's clock. */
  readonly heardMs?: number
  /** How far this browser's clock is ahead of the command's, which may run on another computer. */
  readonly skewMs: number
  readonly source: string
  readonly version: string
  /** By name, sorted. */
  readonly nodes: ReadonlyMap<string, NodeRow>
  readonly askedMs?: number
  /** When there is to be news of the nodes again. */
  readonly dueMs?: number
  readonly doctor?: DoctorState
  /** Why the agents cannot be found now. */
  readonly failure?: string
  /** Why nodes that should have an agent and have none may be missing. */
  readonly unlisted?: string
  /** How many rounds came: what shows that nodes were asked again. */
  readonly rounds: number
}

export const nothing: State = { link: 'connecting', source: '', version: '', nodes: new Map(), rounds: 0, skewMs: 0 }

/** News that is so late does not come: agents have to be looked for now and then, which takes some seconds in a large cluster. */
const lateMs = 10_000

/** What is shown was known once; nobody knows whether it is still so. */
export function isOld({ link, failure, dueMs }: Pick<State, 'link' | 'failure' | 'dueMs'>, nowMs: number): boolean {
  return link !== 'live' || failure !== undefined || (dueMs !== undefined && nowMs > dueMs + lateMs)
}

export type Event =
  /** `atMs`: by this browser's clock. */
  | { readonly kind: 'line'; readonly line: LiveLine; readonly atMs: number }
  | { readonly kind: 'lost'; readonly why: string }
  | { readonly kind: 'strange' | 'unseen' }

/** node-2 before node-10. */
export const byName = (a: string, b: string): number => byNumberedName(a, b) || byText(a, b)

function sorted(rows: Iterable<NodeRow>): Map<string, NodeRow> {
  return new Map([...rows].sort((a, b) => byName(a.name, b.name)).map((row) => [row.name, row]))
}

/** Rows that are the same keep their place, and so stay sorted; only who comes makes another order. */
function changed(nodes: State['nodes'], rows: readonly NodeRow[], gone: readonly string[]): State['nodes'] {
  if (rows.length === 0 && gone.length === 0) return nodes
  const next = new Map(nodes)
  for (const name of gone) next.delete(name)
  const isNew = rows.some(({ name }) => !next.has(name))
  for (const row of rows) next.set(row.name, row)
  return isNew ? sorted(next.values()) : next
}

function timesIn({ nowMs, askedMs, dueMs }: Times, atMs: number): Pick<State, 'skewMs' | 'askedMs' | 'dueMs'> {
  return { skewMs: atMs - nowMs, ...(askedMs !== undefined && { askedMs }), ...(dueMs !== undefined && { dueMs }) }
}

function withLine(state: State, line: LiveLine, atMs: number): State {
  switch (line.kind) {
    case 'all': {
      const { source, version, nodes, doctor, failure, unlisted } = line
      return {
        link: 'live',
        rounds: state.rounds + 1,
        source,
        version,
        nodes: sorted(nodes),
        ...timesIn(line, atMs),
        ...(doctor && { doctor }),
        ...(failure !== undefined && { failure }),
        ...(unlisted !== undefined && { unlisted }),
      }
    }
    case 'nodes': {
      const { failure: _ended, unlisted: _before, ...rest } = state
      const { unlisted } = line
      const nodes = changed(state.nodes, line.changed, line.gone)
      const rounds = state.rounds + 1
      return { ...rest, nodes, rounds, ...timesIn(line, atMs), ...(unlisted !== undefined && { unlisted }) }
    }
    case 'doctor':
      return { ...state, doctor: line.doctor }
    case 'failure':
      return { ...state, failure: line.message }
  }
}

export function reduce(state: State, event: Event): State {
  switch (event.kind) {
    case 'lost':
      return { ...state, link: 'lost', why: event.why }
    case 'strange':
    case 'unseen':
      return { ...state, link: event.kind }
    case 'line': {
      const { why: _past, ...rest } = withLine(state, event.line, event.atMs)
      return { ...rest, link: 'live', heardMs: event.atMs - rest.skewMs }
    }
  }
}
