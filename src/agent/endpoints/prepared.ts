// SQL statements, each prepared once for a database: preparing one takes longer than most of ours take to run.
import { type DatabaseSync, type StatementSync } from 'node:sqlite'

const statements = new WeakMap<DatabaseSync, Map<string, StatementSync>>()

/** The statement with this text. It belongs to the database, and ends with it. */
export function prepared(db: DatabaseSync, sql: string): StatementSync {
  const known = statements.getOrInsertComputed(db, () => new Map())
  return known.getOrInsertComputed(sql, () => db.prepare(sql))
}
