// The objects on disk: one SQLite file with a row per object and a transaction per write.
//
// WAL with synchronous=NORMAL: a commit is in the kernel's page cache when the client gets its answer, so no acknowledged
// write is lost when this process dies. A power cut may lose the last commits, but leaves the file consistent.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'

export type Row = { readonly bucket: string; readonly key: string; readonly revision: number; readonly json: string }

/** The state directory cannot be read or written. */
export class StorageError extends Error {
  override name = 'StorageError'
}

const formatVersion = 1

export class Database implements Disposable {
  readonly #database: DatabaseSync
  readonly #file: string
  readonly #put: StatementSync
  readonly #delete: StatementSync
  readonly #revision: StatementSync

  /** Opens or makes `<stateDir>/objects.db`; throws StorageError. */
  constructor(stateDir: string) {
    this.#file = join(stateDir, 'objects.db')
    const open = (): DatabaseSync => {
      mkdirSync(stateDir, { recursive: true, mode: 0o700 })
      return prepare(new DatabaseSync(this.#file))
    }
    this.#database = this.#guard('open', open)
    this.#put = this.#database.prepare(
      'INSERT OR REPLACE INTO objects (bucket, key, revision, json) VALUES (?, ?, ?, ?)',
    )
    this.#delete = this.#database.prepare('DELETE FROM objects WHERE bucket = ? AND key = ?')
    this.#revision = this.#database.prepare("UPDATE counters SET value = ? WHERE name = 'revision'")
  }

  /** The last revision that was assigned. */
  get revision(): number {
    return this.#guard('read', () => {
      const row = this.#database.prepare("SELECT value FROM counters WHERE name = 'revision'").get()
      return Number(row?.['value'])
    })
  }

  rows(): readonly Row[] {
    return this.#guard('read', () => {
      const rows = this.#database.prepare('SELECT bucket, key, revision, json FROM objects').all()
      return rows.map(({ bucket, key, revision, json }) => {
        if (typeof bucket !== 'string' || typeof key !== 'string' || typeof json !== 'string') {
          throw new TypeError('a row has columns of other types than were written')
        }
        return { bucket, key, revision: Number(revision), json }
      })
    })
  }

  /** Writes one object, or removes it when `json` is absent, and stores the revision that was assigned to the write. */
  write(bucket: string, key: string, revision: number, json: string | undefined): void {
    this.#guard('write', () => {
      this.#database.exec('BEGIN IMMEDIATE')
      try {
        if (json === undefined) this.#delete.run(bucket, key)
        else this.#put.run(bucket, key, revision, json)
        this.#revision.run(revision)
        this.#database.exec('COMMIT')
      } catch (error) {
        if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
        throw error
      }
    })
  }

  [Symbol.dispose](): void {
    this.#database.close()
  }

  #guard<T>(what: string, work: () => T): T {
    try {
      return work()
    } catch (cause) {
      const hint =
        what === 'write' ? 'is the disk full?' : 'if the file is damaged, remove it to start with an empty cluster'
      throw new StorageError(`cannot ${what} the API server's objects in ${this.#file} (${hint})`, { cause })
    }
  }
}

function prepare(database: DatabaseSync): DatabaseSync {
  try {
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA locking_mode = EXCLUSIVE')
    const check = database.prepare('PRAGMA quick_check(1)').get()
    if (check?.['quick_check'] !== 'ok') throw new Error(String(check?.['quick_check']))
    const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
    if (version > formatVersion) throw new Error(`it has format ${version}; this program reads up to ${formatVersion}`)
    database.exec(`
      CREATE TABLE IF NOT EXISTS objects (
        bucket TEXT NOT NULL, key TEXT NOT NULL, revision INTEGER NOT NULL, json TEXT NOT NULL, PRIMARY KEY (bucket, key)
      ) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
      INSERT OR IGNORE INTO counters (name, value) VALUES ('revision', 1);
      PRAGMA user_version = ${formatVersion};
    `)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}
