// The file of Causeway's CNI configuration on this node. Others write to it too: a service mesh adds its plugin. What they added stays in
// every rewrite, a file that says what it should is left alone in whatever form it was written, and a writer that insists is not fought.
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { type Logger } from '#/lib/log.ts'
import { type Problem, problem } from '#/model/problems.ts'
import { Contests } from '#/reconcile/contest.ts'
import { removeFile, writeWholeFile } from '../whole-file.ts'
import { type Conflist, conflistText, othersIn, readConflist } from './conflist.ts'

/** Runtimes run as root, and no other user needs to read the configuration. */
const mode = 0o600
/** Whoever can write the file can have the runtime execute anything as root. */
const writableByOthers = 0o022
/** A file that is no JSON may just be being written. */
const writingMs = 5_000

export class ConflistFile {
  readonly #path: string
  readonly #log: Logger
  readonly #nowMs: () => number
  readonly #contests: Contests
  /** What the file last said, with the entries of others: they outlive a file that is removed or spoilt. */
  #last: Conflist | undefined
  /** The text that is known to be as wanted; a file with another one was changed by somebody. */
  #settled: string | undefined
  #text: string | undefined
  /** Since when the file is no JSON. */
  #spoiltSinceMs: number | undefined

  constructor(path: string, deps: { readonly log: Logger; readonly nowMs: () => number }) {
    this.#path = path
    this.#log = deps.log
    this.#nowMs = deps.nowMs
    this.#contests = new Contests(deps.nowMs)
  }

  get problems(): readonly Problem[] {
    const contest = this.#contests.contestOf(this.#path)
    if (contest === undefined) return []
    const message = `somebody changes what Causeway wrote: it was put right ${contest.count} times in a row, and is put right again at the earliest ${contest.pauseMs / 1000} s after the last time`
    return [problem('CW3013', `file${this.#path}`, message)]
  }

  /** Reads the file and returns what it says; where it is gone or spoilt, what it said before. Throws the system's error. */
  look(): Conflist | undefined {
    this.#text = existsSync(this.#path) ? readFileSync(this.#path, 'utf8') : undefined
    const found = this.#text === undefined ? undefined : readConflist(this.#text)
    if (found) this.#last = found
    const isSpoilt = this.#text !== undefined && found === undefined
    this.#spoiltSinceMs = isSpoilt ? (this.#spoiltSinceMs ?? this.#nowMs()) : undefined
    return this.#last
  }

  /** Has the file say what is wanted, as of the last look. Throws the system's error. */
  put(wanted: Conflist): void {
    if (this.#spoiltSinceMs !== undefined && this.#nowMs() - this.#spoiltSinceMs < writingMs) return
    if (this.#says(wanted)) {
      this.#settled = this.#text
      return
    }
    const isChangedByOther = this.#settled !== undefined && this.#text !== this.#settled
    if (isChangedByOther && !this.#contests.mayCorrect(this.#path)) return
    const text = conflistText(wanted)
    mkdirSync(dirname(this.#path), { recursive: true })
    writeWholeFile(this.#path, Buffer.from(text), mode)
    if (isChangedByOther) this.#contests.corrected(this.#path)
    this.#settled = text
    this.#last = wanted
    this.#log.info('wrote the CNI configuration', {
      path: this.#path,
      plugins: wanted.plugins.map(({ type }) => type),
      versions: wanted['cniVersions'],
    })
  }

  /** Removes the file if there is one. What others put into it comes back with it. Throws the system's error. */
  remove(): void {
    if (!existsSync(this.#path)) return
    this.look()
    removeFile(this.#path)
    this.#settled = undefined
    const others = this.#last ? othersIn(this.#last).map(({ type }) => type) : []
    this.#log.warn('removed the CNI configuration: this node has had no pod network for a while', {
      path: this.#path,
      ...(others.length > 0 && { entriesOfOthers: others }),
    })
  }

  #says(wanted: Conflist): boolean {
    if (this.#text === undefined || (statSync(this.#path).mode & writableByOthers) !== 0) return false
    const found = readConflist(this.#text)
    return found !== undefined && isDeepStrictEqual(found, wanted)
  }
}
