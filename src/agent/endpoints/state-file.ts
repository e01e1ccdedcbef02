// The node's state file, an SQLite database: opens, reads and writes it, says what is wrong with it, and stands in for it when it
// cannot be used. endpoint-store.ts decides what its tables hold.
import { DatabaseSync } from 'node:sqlite'
import { messageOf } from '#/lib/log.ts'
import { type BootClock } from '#/sys/boot-clock.ts'
import { prepareSchema } from './endpoint-schema.ts'
import { prepared } from './prepared.ts'

/** The state file cannot be used; the message says which one, why, and what to do. */
export class StateError extends Error {
  override name = 'StateError'
}

/** A transaction's work throws it to undo the transaction. It does not count as a fault of the file; the caller gets it unchanged. */
export class Undone extends Error {
  override name = 'Undone'
}

/** Runs `work` in one transaction, and rolls it back when `work` throws. */
function transact<T>(db: DatabaseSync, work: () => T): T {
  prepared(db, 'BEGIN IMMEDIATE').run()
  try {
    const result = work()
    prepared(db, 'COMMIT').run()
    return result
  } catch (error) {
    // when the disk is full, SQLite has already rolled back
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}

/** Opens the file; creates a missing one, migrates an older one. Throws StateError when it cannot be used. */
function openDatabase(path: string, clock: BootClock): DatabaseSync {
  let db: DatabaseSync | undefined
  try {
    db = new DatabaseSync(path)
    db.exec(
      'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 2000',
    )
    const { quick_check: damage } = db.prepare('PRAGMA quick_check(1)').get() as { quick_check: string }
    if (damage !== 'ok') throw new Error(damage)
    const opened = db
    transact(opened, () => prepareSchema(opened, clock.nowMs()))
    return opened
  } catch (error) {
    db?.close()
    throw new StateError(
      `cannot use the state file ${path}: ${messageOf(error)}; check disk and permissions, or move the file away (then every pod of this node loses its network and must be re-created)`,
    )
  }
}

export type StateFileOptions = {
  readonly clock: BootClock
  /** Whether an empty database in memory takes the file's place when the file cannot be used, now or later. */
  readonly mayLack: boolean
}

export class StateFile implements Disposable {
  readonly #path: string
  readonly #clock: BootClock
  readonly #mayLack: boolean
  /** The database in the file, or the empty one in memory that takes its place. */
  #db: DatabaseSync
  /** How many databases have taken the place of another one. */
  #replaced = 0
  #lacks: string | undefined
  #writeFault: string | undefined

  /** Throws StateError when the file cannot be used and `mayLack` is false. */
  constructor(path: string, { clock, mayLack }: StateFileOptions) {
    this.#path = path
    this.#clock = clock
    this.#mayLack = mayLack
    try {
      this.#db = openDatabase(path, clock)
    } catch (error) {
      this.#db = this.#goOnWithout(error)
    }
  }

  #goOnWithout(error: unknown): DatabaseSync {
    if (!this.#mayLack || !(error instanceof StateError)) throw error
    this.#lacks = error.message
    return openDatabase(':memory:', this.#clock)
  }

  /** Why the file cannot be used at all, and what to do; undefined when it is in use. */
  get lacks(): string | undefined {
    return this.#lacks
  }

  /** Why the last write failed; undefined when it succeeded. */
  get writeFault(): string | undefined {
    return this.#writeFault
  }

  /** A text that differs after another process has written the file, and after another database has taken the place of this one. */
  version(): string {
    const sql = 'PRAGMA data_version'
    const { data_version: version } = this.read((db) => prepared(db, sql).get() as { data_version: number })
    return `${this.#replaced} ${version}`
  }

  /**
   * Runs `work` on the database. When that fails, the file counts as damaged: the empty database takes its place, and `work` runs again
   * on that one. Throws StateError when `mayLack` is false.
   */
  read<T>(work: (db: DatabaseSync) => T): T {
    try {
      return work(this.#db)
    } catch (error) {
      const damaged = this.#db
      const what = `cannot read the state file ${this.#path}: ${messageOf(error)}; mend the disk, or move the file away`
      this.#db = this.#goOnWithout(new StateError(what))
      this.#replaced++
      damaged.close()
      return work(this.#db)
    }
  }

  /** Runs `work` in one transaction. Writes nothing when it throws: StateError when the file cannot be written, or Undone from `work`. */
  write<T>(work: (db: DatabaseSync) => T): T {
    try {
      const db = this.#db
      const result = transact(db, () => work(db))
      this.#writeFault = undefined
      return result
    } catch (error) {
      if (error instanceof Undone) throw error
      this.#writeFault = `cannot write the state file ${this.#path}: ${messageOf(error)}`
      throw new StateError(`${this.#writeFault}; free space or mend the disk, the agent then goes on by itself`)
    }
  }

  /** Opens the file if it is lacking; does nothing if it is in use. Throws StateError when it still cannot be used. */
  takeUp(): void {
    if (this.#lacks === undefined) return
    const db = openDatabase(this.#path, this.#clock)
    this.#db.close()
    this.#db = db
    this.#replaced++
    this.#lacks = undefined
  }

  [Symbol.dispose](): void {
    this.#db.close()
  }
}
