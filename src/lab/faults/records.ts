// What is noted of the faults of a lab: a file for each in the lab's own folder. It is written before each act, so whatever was done is in it.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type LabPaths } from '../paths.ts'

/** An act of a fault, with what takes it back. */
export type Made =
  | {
      readonly kind: 'command'
      readonly netns: string
      readonly does: readonly string[]
      readonly undo: readonly string[]
    }
  /** What the kernel takes away beside what an act says; `undo` restores it. */
  | { readonly kind: 'restore'; readonly netns: string; readonly undo: readonly string[] }
  | {
      readonly kind: 'sysctl'
      readonly netns: string
      readonly key: string
      readonly value: string
      readonly before: string
    }
  | { readonly kind: 'file'; readonly path: string; readonly text: string }
  /** `uid` is not known yet while the object is being created. */
  | { readonly kind: 'created'; readonly path: string; readonly uid?: string }
  | { readonly kind: 'patched'; readonly path: string; readonly change: object; readonly undo: object }
  /** The entries have the mark. */
  | { readonly kind: 'conntrack'; readonly netns: string; readonly mark: number }
  | { readonly kind: 'daemon'; readonly netns: string; readonly role: string; readonly command: readonly string[] }
  | { readonly kind: 'killed'; readonly node: string }
  /** The pod CIDRs and labels are those of before. */
  | {
      readonly kind: 'reregistered'
      readonly node: string
      readonly cidrs: readonly string[]
      readonly labels: Readonly<Record<string, string>>
    }
  | { readonly kind: 'frozen'; readonly node: string }
  | { readonly kind: 'underlay'; readonly node: string }

export type FaultRecord = {
  readonly fault: string
  readonly node: string
  /** Absent where the fault strikes no pod. */
  readonly pod?: string
  readonly sinceMs: number
  /** Whether all of it was done: false while it is being caused, and for ever when that was interrupted. */
  readonly isWhole: boolean
  /** In the order in which it was done. */
  readonly made: readonly Made[]
}

export class FaultRecords {
  readonly #dir: string

  constructor(paths: LabPaths) {
    this.#dir = paths.faults
  }

  #fileOf(fault: string): string {
    return join(this.#dir, `${fault}.json`)
  }

  /** All of the lab, the latest first. */
  list(): FaultRecord[] {
    let names: string[]
    try {
      names = readdirSync(this.#dir).filter((name) => name.endsWith('.json'))
    } catch {
      return []
    }
    return names
      .map((name) => JSON.parse(readFileSync(join(this.#dir, name), 'utf8')) as FaultRecord)
      .toSorted((a, b) => b.sinceMs - a.sinceMs)
  }

  save(record: FaultRecord): void {
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 })
    const path = this.#fileOf(record.fault)
    writeFileSync(`${path}.new`, JSON.stringify(record, undefined, 2))
    renameSync(`${path}.new`, path)
  }

  remove({ fault }: FaultRecord): void {
    rmSync(this.#fileOf(fault), { force: true })
  }
}
