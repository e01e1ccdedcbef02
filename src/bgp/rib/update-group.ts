// Neighbours that are told the same (of one family): their messages are made once. Members that have read up to the same point of the
// log go on together; one that is behind goes on by itself and comes back to the others when it has caught up.
import { type Nlri } from '#/wire/bgp/values.ts'
import { type Outlet } from '../contract.ts'
import { type ExportRules } from './export.ts'
import { isAlike, type Path, type PathSource } from './path.ts'
import { type Chunk, type EncodeFailure, Portion } from './portion.ts'
import { type LogEntry, type LogReader, RouteLog } from './route-log.ts'

/** One session's outlet, shared by its families. */
export type Link = { readonly outlet: Outlet; isBehind: boolean }

/** What a member is told when it has been told of all that there was at some time: End-of-RIB, or the end of a refresh. */
type Closing = {
  readonly bytes: Uint8Array
  /** What has to be decided first (LocRib.entered); then `seq` is set. */
  readonly entered: number
  seq: number | undefined
}

const none = new Uint8Array(0)

export class Member {
  /** The member's own routes: these it is not told. */
  readonly source: PathSource
  readonly link: Link
  closing: Closing | undefined

  constructor(source: PathSource, link: Link) {
    this.source = source
    this.link = link
  }

  write(bytes: Uint8Array): void {
    if (bytes.length > 0 && !this.link.outlet.write(bytes)) this.link.isBehind = true
  }

  /** All of it, also when the outlet has enough after the first piece: a portion is whole or not at all. */
  writeChunk({ bytes, holes, instead }: Chunk): void {
    const withdrawals = instead.get(this.source)
    if (withdrawals !== undefined) this.write(withdrawals)
    const hole = holes.get(this.source)
    if (hole === undefined) this.write(bytes)
    else {
      this.write(bytes.subarray(0, hole.start))
      this.write(bytes.subarray(hole.end))
    }
  }
}

/** Members that have read up to the same point, and whether their outlets have enough for now. */
type Cohort = { readonly reader: LogReader; readonly members: Set<Member>; readonly isBehind: boolean }

export class UpdateGroup {
  readonly rules: ExportRules
  readonly #onFailure: EncodeFailure
  readonly log = new RouteLog()
  /** The table is still being gone through for it. */
  isFilling = true
  /** Members of other groups have come, and it is still being looked up what they were told there. */
  readonly arrivals = new Set<symbol>()
  readonly #cohorts = new Set<Cohort>()
  readonly #closing = new Set<Member>()
  readonly #countBySource = new Map<PathSource | undefined, number>()
  #count = 0

  constructor(rules: ExportRules, onFailure: EncodeFailure) {
    this.rules = rules
    this.#onFailure = onFailure
  }

  get isEmpty(): boolean {
    return this.#cohorts.size === 0
  }

  /** How many prefixes a member is told. */
  countFor(source: PathSource): number {
    return this.#count - (this.#countBySource.get(source) ?? 0)
  }

  /** The best path to a prefix, if any. */
  offer(nlri: Nlri, best: Path | undefined): void {
    const path = best !== undefined && this.rules.decide(best, nlri) !== undefined ? best : undefined
    const entry = this.log.get(nlri)
    const old = entry?.path
    if (old === path) return
    if (entry !== undefined && old !== undefined && path !== undefined && isAlike(old, path)) {
      entry.path = path
      return
    }
    if (old !== undefined) this.#counted(old.source, -1)
    if (path !== undefined) this.#counted(path.source, 1)
    if (entry === undefined) this.log.add(nlri, path)
    else this.log.change(entry, path)
  }

  #counted(source: PathSource | undefined, difference: number): void {
    this.#count += difference
    const count = (this.#countBySource.get(source) ?? 0) + difference
    if (count === 0) this.#countBySource.delete(source)
    else this.#countBySource.set(source, count)
  }

  /**
   * `joined` have come from another group, where they were told of a prefix, or of several paths to it in turn. Those to whom this
   * group does not announce it get a withdrawal.
   */
  takeOver(nlri: Nlri, { path: told, isMixed }: LogEntry, joined: ReadonlySet<PathSource>): void {
    const entry = this.log.get(nlri)
    if (entry === undefined) return this.log.add(nlri, undefined)
    const source = entry.path?.source
    if (source === undefined || !joined.has(source) || (told?.source === source && !isMixed)) return undefined
    this.log.change(entry, entry.path)
    entry.isMixed = true
  }

  /** Everything is told to it from the start, then `closing`; before that, what it would have been told where it was before. */
  join(member: Member, closing?: { readonly bytes: Uint8Array; readonly entered: number }): void {
    this.#cohorts.add({ reader: this.log.readFromStart(), members: new Set([member]), isBehind: false })
    if (member.closing !== undefined || closing !== undefined) this.conclude(member, closing)
  }

  /** A member is told `closing` after all that there is now, and after what else it was to be told so. */
  conclude(member: Member, closing?: { readonly bytes: Uint8Array; readonly entered: number }): void {
    const before = member.closing
    member.closing = {
      bytes: Buffer.concat([before?.bytes ?? none, closing?.bytes ?? none]),
      entered: Math.max(before?.entered ?? 0, closing?.entered ?? 0),
      seq: undefined,
    }
    this.#closing.add(member)
  }

  leave(member: Member): void {
    this.#closing.delete(member)
    for (const cohort of this.#cohorts) {
      if (!cohort.members.delete(member)) continue
      if (cohort.members.size === 0) this.#drop(cohort)
      return
    }
  }

  #drop(cohort: Cohort): void {
    this.#cohorts.delete(cohort)
    this.log.close(cohort.reader)
  }

  /**
   * Goes before `write`: `decided` is how far decisions have come (LocRib.decidedUpTo). Returns whether there is something to write
   * for somebody who can take it.
   */
  prepare(decided: number): boolean {
    this.#timeClosings(decided)
    this.#sortOut()
    this.#close()
    for (const cohort of this.#cohorts) if (this.#canGoOn(cohort)) return true
    return false
  }

  /** Writes to all who can take it, until told to stop. Returns whether there is more. */
  write(isOver: () => boolean): boolean {
    const hasMore = this.#writeAll(isOver)
    this.#close()
    this.log.purge()
    return hasMore
  }

  #writeAll(isOver: () => boolean): boolean {
    let isStopped = false
    for (const cohort of this.#cohorts) {
      if (!this.#canGoOn(cohort)) continue
      if (isStopped) return true
      // the others come first next time
      this.#cohorts.delete(cohort)
      this.#cohorts.add(cohort)
      do {
        this.#writePortion(cohort)
        this.#part(cohort)
        isStopped = isOver()
      } while (!isStopped && this.#canGoOn(cohort))
    }
    return false
  }

  #canGoOn({ isBehind, reader, members }: Cohort): boolean {
    return !isBehind && members.size > 0 && reader.seq < this.log.lastSeq
  }

  /** From when on all that there was when a member joined is in the log. */
  #timeClosings(decided: number): void {
    if (this.isFilling) return
    for (const { closing } of this.#closing) {
      if (closing !== undefined && decided >= closing.entered) closing.seq ??= this.log.lastSeq
    }
  }

  /** Parts those that have enough from those that can take more, and brings together who is at the same point. */
  #sortOut(): void {
    for (const cohort of this.#cohorts) this.#part(cohort)
    const places = new Map<string, Cohort>()
    for (const cohort of this.#cohorts) {
      const place = `${cohort.isBehind} ${cohort.reader.seq}`
      const other = places.get(place)
      if (other === undefined) places.set(place, cohort)
      else {
        for (const member of cohort.members) other.members.add(member)
        this.#drop(cohort)
      }
    }
  }

  #part(cohort: Cohort): void {
    let others: Cohort | undefined
    for (const member of cohort.members) {
      if (member.link.isBehind === cohort.isBehind) continue
      others ??= { reader: this.log.fork(cohort.reader), members: new Set(), isBehind: !cohort.isBehind }
      cohort.members.delete(member)
      others.members.add(member)
    }
    if (others !== undefined) this.#cohorts.add(others)
    if (cohort.members.size === 0) this.#drop(cohort)
  }

  #writePortion({ reader, members }: Cohort): void {
    const portion = new Portion(this.rules, this.#onFailure)
    this.log.read(reader, (entry) => portion.add(entry))
    const [only] = members.size === 1 ? members : []
    const chunk = portion.encode((source) => source === only?.source)
    for (const member of members) member.writeChunk(chunk)
  }

  #close(): void {
    if (this.#closing.size === 0) return
    for (const { reader, members, isBehind } of this.#cohorts) {
      if (isBehind) continue
      for (const member of members) {
        const { closing } = member
        if (closing?.seq === undefined || closing.seq > reader.seq) continue
        member.closing = undefined
        this.#closing.delete(member)
        member.write(closing.bytes)
      }
    }
  }
}
