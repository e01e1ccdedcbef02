// The live picture: the row of every node, and which of them have changed since a page was last told. Pure.
import { type Outcome } from '#/api/client.ts'
import { type NodeSummary } from '#/api/schemas/summary.ts'
import { byNumberedName } from '#/lib/numbered-names.ts'
import { type NodeRow } from './contract.ts'
import { boundedRow, type KnownRow, rowOf, unknownRow } from './rows.ts'

type Entry = KnownRow & { readonly text: string }

export class Picture {
  /** By the name under which the node's agent is asked. */
  readonly #entries = new Map<string, Entry>()
  /** The names of rows that have changed, or gone, since `takeChanges`. */
  readonly #changed = new Set<string>()
  /** There is one node only, whose agent alone knows its name. */
  #isAlone = false
  #unlisted: string | undefined

  get rows(): NodeRow[] {
    return [...this.#entries.values()].map(({ row }) => row)
  }

  row(name: string): NodeRow | undefined {
    return this.#byRowName().get(name)?.row
  }

  /** The row as JSON. */
  textOf(name: string): string | undefined {
    return this.#byRowName().get(name)?.text
  }

  /** Names under which rows are told. */
  #byRowName(): ReadonlyMap<string, Entry> {
    if (!this.#isAlone) return this.#entries
    return new Map([...this.#entries.values()].map((each) => [each.row.name, each]))
  }

  /** The rows as the JSON of a list, sorted by name; each row is made into text once. */
  get rowsText(): string {
    const sorted = [...this.#entries].toSorted(([a], [b]) => byNumberedName(a, b))
    return `[${sorted.map(([, { text }]) => text).join(',')}]`
  }

  /** Why nodes may be missing; undefined: none is. */
  get unlisted(): string | undefined {
    return this.#unlisted
  }

  /** These are the nodes that there are now; `unlisted` says which others there may be. */
  takeNames(names: readonly string[], unlisted?: string): void {
    this.#unlisted = unlisted
    const now = new Set(names)
    this.#isAlone = now.size === 1
    for (const [name, { row }] of this.#entries)
      if (!now.has(name)) {
        this.#entries.delete(name)
        this.#changed.add(row.name)
      }
    for (const name of now) if (!this.#entries.has(name)) this.#set(name, { row: unknownRow(name) })
  }

  /** What a node answered. */
  take(name: string, outcome: Outcome<NodeSummary>, nowMs: number): void {
    const before = this.#entries.get(name)
    // it has gone meanwhile
    if (before === undefined) return
    this.#set(name, rowOf(name, outcome, before, { nowMs, isAlone: this.#isAlone }))
  }

  #set(name: string, known: KnownRow): void {
    const before = this.#entries.get(name)
    const entry = boundedRow(name, known, before)
    this.#entries.set(name, entry)
    if (before?.text === entry.text) return
    this.#changed.add(entry.row.name)
    if (before !== undefined && before.row.name !== entry.row.name) this.#changed.add(before.row.name)
  }

  /** The names of rows that have changed or gone since this was last asked. */
  takeChanges(): ReadonlySet<string> {
    const changed = new Set(this.#changed)
    this.#changed.clear()
    return changed
  }

  /** What is wrong, as far as it decides whether the whole is to be examined anew: it does not change with words and times. */
  get troubles(): string {
    const all = this.rows.flatMap(({ name, state, problems }) => [
      ...(state === 'silent' ? [`${name} silent`] : []),
      ...problems.map(({ code, object }) => `${code} ${object}`),
    ])
    return [...new Set(all)].toSorted().join('\n')
  }
}
