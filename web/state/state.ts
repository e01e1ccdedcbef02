// What the page knows, and how each line of the live stream changes it. Pure.
import { byNumberedName } from '#/lib/numbered-names.ts'
import { type DoctorState, type LiveLine, type NodeRow } from '#/ui/contract.ts'

/**
 * How the page stands to the command that serves it. connecting: nothing was heard yet. live. lost: it does not answer, and is asked again. strange:
 * it was started anew and does not know this page's token.
 */
export type Link = 'connecting' | 'live' | 'lost' | 'strange'

export type State = {
  readonly link: Link
  /** Why it is lost. */
  readonly why?: string
  /** When the last line came, by this browser's clock. */
  readonly heardMs?: number
  readonly source: string
  readonly version: string
  /** By name, sorted. */
  readonly nodes: ReadonlyMap<string, NodeRow>
  /** When the nodes were asked, by the command's clock. */
  readonly askedMs?: number
  readonly doctor?: DoctorState
  /** Why the agents cannot be found now. */
  readonly failure?: string
  /** Why nodes that should have an agent and have none may be missing. */
  readonly unlisted?: string
  /** How many rounds came: what shows that nodes were asked again. */
  readonly rounds: number
}

export const nothing: State = { link: 'connecting', source: '', version: '', nodes: new Map(), rounds: 0 }

export type Event =
  | { readonly kind: 'line'; readonly line: LiveLine; readonly atMs: number }
  | { readonly kind: 'lost'; readonly why: string }
  | { readonly kind: 'strange' }

/** node-2 before node-10. */
export const byName = (a: string, b: string): number => byNumberedName(a, b) || (a < b ? -1 : a > b ? 1 : 0)

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

function withLine(state: State, line: LiveLine): State {
  switch (line.kind) {
    case 'all': {
      const { source, version, nodes, askedMs, doctor, failure, unlisted } = line
      return {
        link: 'live',
        rounds: state.rounds + 1,
        source,
        version,
        nodes: sorted(nodes),
        ...(askedMs !== undefined && { askedMs }),
        ...(doctor && { doctor }),
        ...(failure !== undefined && { failure }),
        ...(unlisted !== undefined && { unlisted }),
      }
    }
    case 'nodes': {
      const { failure: _ended, unlisted: _before, ...rest } = state
      const { askedMs, unlisted } = line
      const nodes = changed(state.nodes, line.changed, line.gone)
      return { ...rest, nodes, askedMs, ...(unlisted !== undefined && { unlisted }), rounds: state.rounds + 1 }
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
      return { ...state, link: 'strange' }
    case 'line': {
      const { why: _past, ...rest } = withLine(state, event.line)
      return { ...rest, link: 'live', heardMs: event.atMs }
    }
  }
}
