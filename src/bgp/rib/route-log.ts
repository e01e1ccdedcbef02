// Adj-RIB-Out of an update group, kept in the order of its last changes: what changes moves to the end. Whoever has read up to some
// point knows everything before it, and has to be told what comes after it. So a reader is a position, be it new, slow or up to date,
// and nothing needs to be remembered of what a slow one misses.
import { type Nlri } from '#/wire/bgp/values.ts'
import { NlriMap } from './nlri-map.ts'
import { type Path } from './path.ts'

/** A node of the list: a prefix, or a reader's position. */
export class LogEntry {
  /** undefined: a position. */
  readonly nlri: Nlri | undefined
  /** undefined: withdrawn. */
  path: Path | undefined
  /** Paths of more than one source have stood here: members that are the source may have to be told of a withdrawal. */
  isMixed = false
  seq = 0
  prev: LogEntry = this
  next: LogEntry = this

  constructor(nlri?: Nlri) {
    this.nlri = nlri
  }
}

function unlink(entry: LogEntry): void {
  entry.prev.next = entry.next
  entry.next.prev = entry.prev
}

function linkAfter(place: LogEntry, entry: LogEntry): void {
  entry.prev = place
  entry.next = place.next
  place.next.prev = entry
  place.next = entry
}

export class RouteLog {
  readonly #entries = new NlriMap<LogEntry>()
  /** The list is a ring; this is where it begins and ends. */
  readonly #ring = new LogEntry()
  readonly #readers = new Set<LogReader>()
  /** Withdrawn entries in the order of the list; they go when every reader has passed them. */
  #withdrawn: { readonly entry: LogEntry; readonly seq: number }[] = []
  #purged = 0
  #lastSeq = 0

  get lastSeq(): number {
    return this.#lastSeq
  }

  get(nlri: Nlri): LogEntry | undefined {
    return this.#entries.get(nlri)
  }

  /** See NlriMap. */
  entries(): IterableIterator<[Nlri, LogEntry]> {
    return this.#entries.entries()
  }

  /** Of a prefix that is not there: undefined when it is withdrawn. */
  add(nlri: Nlri, path: Path | undefined): void {
    const entry = new LogEntry(nlri)
    this.#entries.set(nlri, entry)
    this.#append(entry, path)
  }

  /** undefined: it is withdrawn. */
  change(entry: LogEntry, path: Path | undefined): void {
    unlink(entry)
    if (entry.path?.source !== path?.source) entry.isMixed = true
    this.#append(entry, path)
  }

  #append(entry: LogEntry, path: Path | undefined): void {
    entry.path = path
    entry.seq = ++this.#lastSeq
    linkAfter(this.#ring.prev, entry)
    if (path !== undefined) return
    this.#withdrawn.push({ entry, seq: entry.seq })
    // while a reader is behind prefixes may come and go any number of times
    if (this.#withdrawn.length > 1024 && this.#withdrawn.length > 2 * this.#entries.size) {
      this.#withdrawn = this.#withdrawn.slice(this.#purged).filter((one) => one.entry.seq === one.seq)
      this.#purged = 0
    }
  }

  /** A reader that has everything before it. */
  readFromStart(): LogReader {
    const reader = new LogReader(0)
    linkAfter(this.#ring, reader.position)
    this.#readers.add(reader)
    return reader
  }

  /** Another one at the same place. */
  fork(reader: LogReader): LogReader {
    const other = new LogReader(reader.seq)
    linkAfter(reader.position, other.position)
    this.#readers.add(other)
    return other
  }

  close(reader: LogReader): void {
    if (this.#readers.delete(reader)) unlink(reader.position)
  }

  /** Hands on what comes next until `take` says that it has enough. Returns whether there is more. */
  read(reader: LogReader, take: (entry: LogEntry) => boolean): boolean {
    let at = reader.position.next
    let last: LogEntry | undefined
    let isEnough = false
    while (at !== this.#ring && !isEnough) {
      if (at.nlri !== undefined) {
        last = at
        isEnough = !take(at)
      }
      at = at.next
    }
    if (last !== undefined) {
      unlink(reader.position)
      linkAfter(last, reader.position)
    }
    const isAtEnd = at === this.#ring
    if (isAtEnd) reader.seq = this.#lastSeq
    else if (last !== undefined) reader.seq = last.seq
    return !isAtEnd
  }

  /** Lets go of withdrawn entries that every reader has passed. */
  purge(): void {
    if (this.#purged === this.#withdrawn.length) return
    let least = this.#lastSeq
    for (const { seq } of this.#readers) if (seq < least) least = seq
    while (this.#purged < this.#withdrawn.length) {
      const { entry, seq } = this.#withdrawn[this.#purged]!
      if (seq > least) break
      this.#purged++
      // it may have moved on since
      if (entry.seq !== seq) continue
      unlink(entry)
      this.#entries.delete(entry.nlri!)
    }
    if (this.#purged > 1024 && this.#purged * 2 > this.#withdrawn.length) {
      this.#withdrawn = this.#withdrawn.slice(this.#purged)
      this.#purged = 0
    }
  }
}

export class LogReader {
  readonly position = new LogEntry()
  /** Of the last entry that it has passed. */
  seq: number

  constructor(seq: number) {
    this.seq = seq
  }
}
