// The node's state file, an SQLite database: how it is opened, read and written, what is wrong with it, and how the agent goes on
// when it cannot be used. What stands in its tables is the business of endpoints.ts.
import { DatabaseSync } from 'node:sqlite'
import { messageOf } from '#/lib/log.ts'
import { type BootClock } from '#/sys/boot-clock.ts'
import { prepareSchema } from './endpoint-schema.ts'

/** The state file cannot be used; the message says which one, why, and what to do. */
export class StateError extends Error {
  override name = 'StateError'
}

/** Thrown by the work of a transaction to undo it. It says nothing about the file, and reaches the caller as it is. */
export class Undone extends Error {
  override name = 'Undone'
}

/** Runs `work` in one transaction: all of it or, when it throws, nothing. */
function transact<T>(db: DatabaseSync, work: () => T): T {
  db.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    db.exec('COMMIT')
    return result
  } catch (error) {
    // SQLite has rolled back by itself when the disk is full
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}

/** Opens the file; makes it where it is missing, migrates it where it is older. Throws StateError when it cannot be used. */
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
  /** Go on without the file when it cannot be used, now or later: an empty database in memory takes its place. */
  readonly mayLack: boolean
}

export class StateFile implements Disposable {
  readonly #path: string
  readonly #clock: BootClock
  readonly #mayLack: boolean
  /** The file, or the empty database that takes its place. */
  #db: DatabaseSync
  #lacks: string | undefined
  #writeFault: string | undefined

  /** Throws StateError when the file cannot be used and may not be lacking. */
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

  /** Why the last write failed; undefined when it did not. */
  get writeFault(): string | undefined {
    return this.#writeFault
  }

  /**
   * A file that turns out to be damaged now counts as one that could not be opened: `work` runs again on the empty database. Throws
   * StateError when the file may not be lacking.
   */
  read<T>(work: (db: DatabaseSync) => T): T {
    try {
      return work(this.#db)
    } catch (error) {
      const damaged = this.#db
      const what = `cannot read the state file ${this.#path}: ${messageOf(error)}; mend the disk, or move the file away`
      this.#db = this.#goOnWithout(new StateError(what))
      damaged.close()
      return work(this.#db)
    }
  }

  /** Runs `work` in one transaction. Throws StateError when the file cannot be written, and Undone from `work`; then nothing was written. */
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

  /** Opens a file that is lacking; nothing happens to one that is in use. Throws StateError when it still cannot be used. */
  takeUp(): void {
    if (this.#lacks === undefined) return
    const db = openDatabase(this.#path, this.#clock)
    this.#db.close()
    this.#db = db
    this.#lacks = undefined
  }

  [Symbol.dispose](): void {
    this.#db.close()
  }
}
