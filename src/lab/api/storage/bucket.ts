// The objects of one kind in memory, with the indexes that frequent lists need.
import type { KubeObject } from '../objects.ts'
import { History } from './history.ts'
import type { Change } from './history.ts'
import type { Entry } from './store.ts'

/** Name of an index -> the function that gives an object's value in it. */
export type Indexes = Readonly<Record<string, (object: KubeObject) => string>>

const historyLimit = 4096

export class Bucket {
  readonly history: History
  readonly listeners = new Set<(change: Change) => void>()
  readonly #entries = new Map<string, Entry>()
  readonly #indexes: Indexes
  readonly #indexed = new Map<string, Map<string, Map<string, Entry>>>()
  #sorted: readonly Entry[] | undefined

  constructor(floor: number, indexes: Indexes) {
    this.history = new History(floor, historyLimit)
    this.#indexes = { namespace: (object) => object.metadata.namespace ?? '', ...indexes }
    for (const name of Object.keys(this.#indexes)) this.#indexed.set(name, new Map())
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key)
  }

  /** Replaces or removes what is stored under `key`. */
  set(key: string, after: Entry | undefined): void {
    const before = this.#entries.get(key)
    if (before !== undefined) this.#unindex(before)
    if (after === undefined) this.#entries.delete(key)
    else {
      this.#entries.set(key, after)
      this.#index(after)
    }
    this.#sorted = undefined
  }

  /** All entries sorted by key. */
  all(): readonly Entry[] {
    this.#sorted ??= sortByKey([...this.#entries.values()])
    return this.#sorted
  }

  /** The entries whose value in an index is `value`, sorted by key; undefined when there is no such index. */
  indexed(index: string, value: string): readonly Entry[] | undefined {
    const values = this.#indexed.get(index)
    return values === undefined ? undefined : sortByKey([...(values.get(value)?.values() ?? [])])
  }

  /** The entries as they were at `revision`; undefined when that revision is no longer kept. */
  at(revision: number): readonly Entry[] | undefined {
    const changes = this.history.since(revision)
    if (changes === undefined) return undefined
    if (changes.length === 0) return this.all()
    const entries = new Map(this.#entries)
    for (const { before, after } of changes.toReversed()) {
      if (before === undefined) entries.delete(after!.key)
      else entries.set(before.key, before)
    }
    return sortByKey([...entries.values()])
  }

  #index(entry: Entry): void {
    for (const [name, valueOf] of Object.entries(this.#indexes)) {
      const values = this.#indexed.get(name)!
      const value = valueOf(entry.object)
      const entries = values.get(value) ?? new Map<string, Entry>()
      values.set(value, entries.set(entry.key, entry))
    }
  }

  #unindex(entry: Entry): void {
    for (const [name, valueOf] of Object.entries(this.#indexes)) {
      const values = this.#indexed.get(name)!
      const value = valueOf(entry.object)
      const entries = values.get(value)
      entries?.delete(entry.key)
      if (entries?.size === 0) values.delete(value)
    }
  }
}

function sortByKey(entries: Entry[]): readonly Entry[] {
  return entries.sort((left, right) => (left.key < right.key ? -1 : left.key > right.key ? 1 : 0))
}
