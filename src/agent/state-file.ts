// The node's state file as SQLite has it: opening, transactions, and the one error for all that can be wrong with it.
import { DatabaseSync } from 'node:sqlite'
import { messageOf } from '#/lib/log.ts'
import { type BootClock } from '#/sys/boot-clock.ts'
import { prepareSchema } from './endpoint-schema.ts'

/** The state file cannot be used; the message says which one, why, and what to do. */
export class StateError extends Error {
  override name = 'StateError'
}

/** Runs `work` in one transaction: all of it or, when it throws, nothing. */
export function transact<T>(db: DatabaseSync, work: () => T): T {
  db.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    db.exec('COMMIT')
    return result
  } catch (error) {
    // a full disk has SQLite roll back by itself
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}

/** Opens the file, made or migrated where that is due. Throws StateError when it cannot be used or is damaged. */
export function openStateFile(path: string, clock: BootClock): DatabaseSync {
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
